"""The archive that an image is built from: exactly the files of a commit, and how to reach package registries."""

import io
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from activities.adapters.release import directory
from contracts.errors import ErrorCode, OrchestratorError

DOCKERFILE = "Dockerfile"


def build_context(git_dir: Path, commit: str, extra: Mapping[str, str]) -> bytes:
    """A tar archive, the same bytes for the same arguments. `extra` files win over those of the commit.

    Raises OrchestratorError GIT_FAILED, and PLAYBOOK_FAILED for a commit without a Dockerfile.
    """
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place, "tree")
        tree.mkdir()
        directory.export_commit(git_dir, commit, tree)
        if not (tree / DOCKERFILE).is_file():
            raise OrchestratorError(
                ErrorCode.PLAYBOOK_FAILED, f"There is no {DOCKERFILE} at the root of the repository; add one."
            )
        return tree_context(tree, extra)


def tree_context(tree: Path, extra: Mapping[str, str]) -> bytes:
    """The same of the files of a directory."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for path in sorted(tree.rglob("*")):
            name = str(path.relative_to(tree))
            if name not in extra:
                archive.add(path, name, recursive=False, filter=_plain)
        for name, text in sorted(extra.items()):
            _add(archive, name, text.encode())
    return target.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(_plain(member), io.BytesIO(content))


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of this machine: no owner, no time, and modes that do not depend on its umask."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member
