"""The archive that an image is built from: exactly the files of a commit, and how to reach package registries."""

import asyncio
import io
import secrets
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from activities.adapters.forge.git import Git
from contracts.errors import ErrorCode, OrchestratorError, end_of

DOCKERFILE = "Dockerfile"


async def export_commit(git_dir: Path, commit: str, target: Path) -> None:
    """Exactly the files of `commit` in the directory `target`, which exists and is empty. Raises GIT_FAILED."""
    index = target.parent / f".index.{secrets.token_hex(4)}"
    where = {"GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(target), "GIT_INDEX_FILE": str(index)}
    try:
        # Not `git archive`: that honours export-ignore and export-subst, and would not be exactly the commit.
        for words in (("read-tree", f"{commit}^{{commit}}"), ("checkout-index", "--all", "--force")):
            done = await Git(target).run(*words, check=False, env=where)
            if done.exit_code != 0:
                reason = f"The commit cannot be checked out: {end_of(done.stderr.strip(), 500)}"
                raise OrchestratorError(ErrorCode.GIT_FAILED, reason)
    finally:
        index.unlink(missing_ok=True)


async def build_context(git_dir: Path, commit: str, extra: Mapping[str, str]) -> bytes:
    """A tar archive, the same bytes for the same arguments. `extra` files win over those of the commit.

    Raises OrchestratorError GIT_FAILED, and PLAYBOOK_FAILED for a commit without a Dockerfile.
    """
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place, "tree")
        tree.mkdir()
        await export_commit(git_dir, commit, tree)
        if not (tree / DOCKERFILE).is_file():
            raise OrchestratorError(
                ErrorCode.PLAYBOOK_FAILED, f"There is no {DOCKERFILE} at the root of the repository; add one."
            )
        return await asyncio.to_thread(tree_context, tree, extra)


def tree_context(tree: Path, extra: Mapping[str, str]) -> bytes:
    """The same of the files of a directory."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for path in sorted(tree.rglob("*")):
            name = str(path.relative_to(tree))
            if name not in extra:
                archive.add(path, name, recursive=False, filter=_plain)
        for name, text in sorted(extra.items()):
            add(archive, name, text.encode())
    return target.getvalue()


def add(archive: tarfile.TarFile, name: str, content: bytes, mtime: int = 0) -> None:
    """A plain file, with nothing of this machine."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(content), mtime
    archive.addfile(member, io.BytesIO(content))


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of this machine: no owner, no time, and modes that do not depend on its umask."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member
