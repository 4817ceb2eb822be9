"""Modules that are added to a project later: what the template makes of it with them, merged into what it is now."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from activities.adapters.forge.git import Git, Identity, temporary_directory
from activities.adapters.forge.scaffold import CopierScaffolder
from contracts.departments import ScaffolderMessage
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import Module

ANSWERS = ".copier-answers.yml"
_OURS = "2"
"""The stage of Git's index that has the project's side of a conflict."""


async def missing_modules(git: Git, ref: str, wanted: list[str]) -> list[str]:
    """Those of the wanted modules that the tree does not have; none for a tree without any that we know."""
    present = await _modules(git, ref)
    return sorted(set(wanted) - set(present)) if present else []


async def push_modules(
    git: Git, scaffolder: CopierScaffolder, message: ScaffolderMessage, scaffold: str, main: str, drafts: Path
) -> None:
    """Push `main` with the modules that it lacks as the work branch of the message, unless that branch exists.

    `scaffold` is the commit that the project began with. The same message makes the same commit. Raises SCAFFOLD_FAILED
    when the project has changed in the same places.
    """
    target = f"refs/heads/{message.branch}"
    present = await _modules(git, main)
    if await git.commit_of(target) is not None:
        return
    as_before = message.model_copy(update={"description": await _description(git, scaffold) or message.description})
    async with temporary_directory(drafts) as directory:
        made = await _made_twice(scaffolder, as_before, present, directory / "made")
        work = directory / "project"
        await Git(directory).run(
            "clone", "--quiet", "--shared", "--no-checkout", "--template=", "--", str(git.directory), str(work)
        )
        clone = Git(work, Identity(date=message.timestamp))
        await clone.run("-c", "core.symlinks=false", "checkout", "--quiet", "--detach", main, "--")
        await clone.run("fetch", "--quiet", "--no-tags", str(made.directory), "HEAD")
        picked = await clone.run("-c", "core.symlinks=false", "cherry-pick", "FETCH_HEAD", check=False)
        if picked.exit_code != 0:
            conflict = await _left_after_our_own(clone)
            if conflict is None or conflict:
                raise _in_the_way(message.modules, conflict or [])
            await clone.run("-c", "core.editor=true", "cherry-pick", "--continue")
        await clone.run("push", "--quiet", str(git.directory), f"HEAD:{target}")


async def _left_after_our_own(clone: Git) -> list[str] | None:
    """The conflicts that only a person can settle; None if there was none at all.

    What the project has deleted stays deleted. Its answers are notes of the template's, on which nothing depends.
    """
    sides: dict[str, set[str]] = {}
    for entry in (await clone.run("ls-files", "--unmerged", "-z", "--")).paths:
        facts, _, path = entry.partition("\t")
        sides.setdefault(path, set()).add(facts.split()[2])
    deleted = [path for path, known in sides.items() if _OURS not in known]
    if deleted:
        await clone.run("rm", "--quiet", "--force", "--", *deleted)
    if _OURS in sides.get(ANSWERS, ()):
        await clone.run("checkout", "--quiet", "--ours", "--", ANSWERS)
        await clone.run("add", "--", ANSWERS)
    return [path for path in sides if path not in {*deleted, ANSWERS}] if sides else None


async def _modules(git: Git, ref: str) -> list[str]:
    folders = (await git.run("ls-tree", "-z", "--name-only", ref, "--", "services/")).paths
    return [module.value for module in Module if f"services/{module.value}" in folders]


async def _description(git: Git, scaffold: str) -> str:
    """What the project was made with: another one would be a change of its own."""
    answers = await git.run("show", f"{scaffold}:{ANSWERS}", check=False)
    found = re.search(r'^description: (".*")$', answers.text, re.MULTILINE)
    try:
        return str(json.loads(found[1])) if found else ""
    except ValueError:
        return ""


async def _made_twice(
    scaffolder: CopierScaffolder, message: ScaffolderMessage, present: list[str], directory: Path
) -> Git:
    """A repository of two commits: the project as the template makes it without, and then with, what is added."""
    repository = Git(directory, Identity(date=message.timestamp))
    wanted = sorted({*present, *message.modules})
    added = ", ".join(module for module in wanted if module not in present)
    for modules, title in ((present, "As it was"), (wanted, f"Add {added} from the template")):
        await scaffolder.generate(message.model_copy(update={"modules": modules}), directory)
        if modules is present:
            await repository.run("init", "--quiet", "--template=")
        await repository.run("add", "--all", "--", ".")
        await repository.run("commit", "--quiet", "--no-verify", "--message", title)
        if modules is present:
            _empty(directory)
    return repository


def _empty(directory: Path) -> None:
    """The next generation must not keep business code of this one as if it were a person's."""
    for path in directory.iterdir():
        if path.name == ".git":
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _in_the_way(modules: list[str], conflict: list[str]) -> OrchestratorError:
    where = ", ".join(sorted(set(conflict))[:10]) or "the repository"
    return OrchestratorError(
        ErrorCode.SCAFFOLD_FAILED,
        f"The project cannot get the modules {', '.join(modules)}: it has changed in the same places ({where}). Add "
        "the module by hand, or start a new project.",
        details={"conflict": sorted(set(conflict))[:100]},
    )
