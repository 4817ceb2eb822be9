"""What a project's memory has got since its last task: a commit of the platform on the branch of the next one."""

from __future__ import annotations

from pathlib import Path

from activities.adapters.forge.git import Git, Identity, temporary_directory
from contracts.departments import ScaffolderMessage
from contracts.memory import MAX_MEMORY, PATH, merged
from contracts.outside_text import cleaned


async def push_memory(git: Git, message: ScaffolderMessage, main: str, drafts: Path) -> None:
    """Push the work branch with the memory that is not in it yet; nothing if there is none. The same message makes the
    same commit. Nothing is checked out: what agents have made of the tree does not matter.
    """
    pending, target = message.memory, f"refs/heads/{message.branch}"
    if pending is None or (pending.edited is None and not pending.failures):
        return
    there = await git.commit_of(target)
    tip = there or main
    before = await _text(git, tip)
    after = merged(before, pending)
    if after == before:
        return
    async with temporary_directory(drafts) as directory:
        file = directory / PATH
        file.write_text(after, encoding="utf-8")
        bare = Git(git.directory, Identity(date=message.timestamp))
        env = {"GIT_INDEX_FILE": str(directory / "index")}
        blob = await bare.text("hash-object", "-w", "--no-filters", "--", str(file))
        await bare.run("read-tree", tip, env=env)
        await bare.run("update-index", "--add", "--replace", "--cacheinfo", f"100644,{blob},{PATH}", env=env)
        tree = (await bare.run("write-tree", env=env)).text
        commit = await bare.text("commit-tree", tree, "-p", tip, "-m", "Remember what people and failures have said")
    # Git itself compares the old value: zeros for a branch that must not be there.
    await git.run("update-ref", target, commit, there or "0" * len(commit))


async def _text(git: Git, commit: str) -> str:
    found = await git.run("cat-file", "blob", f"{commit}:{PATH}", check=False)
    return cleaned(found.stdout.decode(errors="replace"))[:MAX_MEMORY] if found.exit_code == 0 else ""
