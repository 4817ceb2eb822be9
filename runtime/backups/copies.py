"""Copies of files that the platform itself writes: keys, repositories, artifacts. Everything here blocks.

Files of a repository and artifacts are never changed once they have their names, so a copy is a second name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from contracts.backups import FilesFacts, RepositoryFacts
from contracts.errors import ErrorCode, OrchestratorError, end_of

_TRIES = 5
_GIT = ("git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "--git-dir")


def copy_keys(keys: Path, to: Path) -> dict[str, str]:
    """Every key file with its mode; hashes by name. Temporary files and locks are left out."""
    found: dict[str, str] = {}
    for path in sorted(keys.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.name.startswith("."):
            continue
        name = path.relative_to(keys).as_posix()
        target = to / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(path, target)
        found[name] = sha256_of(target)
    return found


def key_hashes(keys: Path) -> dict[str, str]:
    """Hashes of the files of a copy by name."""
    files = sorted(path for path in keys.rglob("*") if path.is_file())
    return {path.relative_to(keys).as_posix(): sha256_of(path) for path in files}


def copy_forge(forge: Path, to: Path) -> dict[str, RepositoryFacts]:
    """Every bare repository, with what its references lead to; facts by name."""
    found: dict[str, RepositoryFacts] = {}
    for repository in repositories(forge):
        name = repository.relative_to(forge).as_posix()
        found[name] = _copied_repository(repository, to / name)
    return found


def repositories(forge: Path) -> list[Path]:
    """Directories of bare repositories, two levels down; drafts and locks have names with a dot."""
    return sorted(path for path in forge.glob("[!.]*/[!.]*") if (path / "objects").is_dir())


def repository_facts(repository: Path, *, whole: bool = False) -> RepositoryFacts:
    """Its references, after everything that they lead to was found; with `whole`, also read.

    Raises BACKUP_DAMAGED.
    """
    _git(repository, "fsck", "--no-dangling", "--no-progress", *([] if whole else ["--connectivity-only"]))
    listed = _git(repository, "for-each-ref", "--format=%(objectname) %(refname)")
    lines = sorted(listed.splitlines())
    return RepositoryFacts(refs=len(lines), sha256=hashlib.sha256("\n".join(lines).encode()).hexdigest())


def copy_artifacts(artifacts: Path, to: Path) -> FilesFacts:
    """Every artifact; drafts are left out."""
    for path in sorted(artifacts.glob("[0-9a-f][0-9a-f]/*")):
        target = to / path.parent.name / path.name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _second_name(path, target)
        except FileNotFoundError:
            continue  # it has expired meanwhile, so nothing refers to it
    return artifact_facts(to)


def artifact_facts(artifacts: Path, *, read: bool = False) -> FilesFacts:
    """How many there are; with `read`, each must be what its name says. Raises BACKUP_DAMAGED."""
    names, size = [], 0
    for path in sorted(artifacts.glob("[0-9a-f][0-9a-f]/*")):
        names.append(path.name)
        size += path.stat().st_size
        if read and sha256_of(path) != path.name:
            raise OrchestratorError(ErrorCode.BACKUP_DAMAGED, f"The artifact {path.name} has other content.")
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return FilesFacts(files=len(names), size_bytes=size, sha256=digest)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copied_repository(repository: Path, target: Path) -> RepositoryFacts:
    """Git may repack meanwhile: then something is missing, and the copy is made again."""
    for attempt in range(1, _TRIES + 1):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o700, parents=True)
        try:
            for path in _in_order(repository):
                copy = target / path.relative_to(repository)
                copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _second_name(path, copy)
            for name in ("refs", "objects"):  # empty directories have no files, and Git wants them
                (target / name).mkdir(exist_ok=True)
            return repository_facts(target)
        except (FileNotFoundError, OrchestratorError):
            if attempt == _TRIES:
                raise
    raise AssertionError("unreachable")


def _in_order(repository: Path) -> Iterator[Path]:
    """References before what they lead to, each kind before where Git moves it: loose, then packed."""
    loose = repository / "refs"
    yield from _files(loose)
    rest = [path for path in repository.iterdir() if path.name not in {"refs", "objects"}]
    for path in sorted(rest, key=lambda path: path.name != "packed-refs"):
        yield from _files(path)
    for directory in sorted((repository / "objects").iterdir(), key=lambda path: (path.name == "pack", path.name)):
        yield from _files(directory)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        for one in sorted(path.rglob("*")):
            if one.is_file() and not one.is_symlink() and not one.name.endswith(".lock"):
                yield one
    elif path.is_file() and not path.is_symlink() and not path.name.endswith(".lock"):
        yield path


def _second_name(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}:
            raise
        shutil.copy2(path, target)


def _git(repository: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1",
                   "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}  # fmt: skip
    done = subprocess.run(
        [*_GIT, str(repository), *arguments], env=environment, capture_output=True, text=True, errors="replace",
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = end_of((done.stderr or done.stdout).strip(), 500)
        raise OrchestratorError(ErrorCode.BACKUP_DAMAGED, f"The repository {repository.name} is not whole: {said}")
    return done.stdout
