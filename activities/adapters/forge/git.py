"""Runs the git program for the platform, on repositories that an agent may have prepared.

Git reads the bundled `platform.gitconfig` and nothing of the machine's; hooks are off and only local paths may be
fetched from. Work trees of agents are never looked at with git (their filters and monitors would run): their
commits are fetched into a repository of our own, and read there.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.follower import readable
from activities.adapters.runs.trees import remove_tree
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded, bounded_list
from runtime.disks import is_full, no_room

_CONFIG = Path(__file__).with_name("platform.gitconfig")
_OVERRIDES = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
"""Also on the command line, where they win over the repository's own configuration."""
TIMEOUT_S = 120
"""Well below what the activities around it may take, so that it ends with an error and not with them."""
_MAX_OUTPUT = 32 * 1024 * 1024
_MAX_STDERR = 2_000
_NO_ROOM = ("no space left", "disk quota exceeded")
_BUSY = ("unable to create", "cannot lock ref", "another git process", "no space left")


@dataclass(frozen=True)
class Identity:
    """Who commits, and when: equal identities and content give equal commit ids."""

    name: str = "Codegen orchestrator"
    email: str = "orchestrator@localhost"
    date: datetime | None = None

    def environment(self) -> dict[str, str]:
        known = {
            "GIT_AUTHOR_NAME": self.name,
            "GIT_AUTHOR_EMAIL": self.email,
            "GIT_COMMITTER_NAME": self.name,
            "GIT_COMMITTER_EMAIL": self.email,
        }
        if self.date is not None:
            moment = f"{int(self.date.timestamp())} +0000"
            known |= {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        return known


@dataclass(frozen=True)
class GitResult:
    exit_code: int
    stdout: bytes
    stderr: str
    place: Path

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace").strip()

    def raise_if_busy(self, command: str) -> None:
        """Raises GIT_FAILED, transient, if another process was in the way, and ARTIFACT_DISK_FULL if the disk was.

        The disk itself decides: words of Git may be those of a name in a repository.
        """
        if self.exit_code != 0 and any(word in self.stderr.lower() for word in _NO_ROOM) and is_full(self.place):
            raise no_room(self.place)
        if self.exit_code != 0 and any(word in self.stderr.lower() for word in _BUSY):
            raise _failed((command,), self.stderr, ErrorClass.TRANSIENT)

    def raise_if_failed(self, command: str) -> None:
        """Raises GIT_FAILED with what git said, unless it has done what it was told to."""
        self.raise_if_busy(command)
        if self.exit_code != 0:
            raise _failed((command,), self.stderr, ErrorClass.PERMANENT)

    @property
    def paths(self) -> list[str]:
        """The NUL-separated names that `-z` gives."""
        return [name for name in self.stdout.decode(errors="replace").split("\0") if name]


class Git:
    """Git in one directory. `git` commands are plain arguments; put `--` before what a user controls."""

    def __init__(self, directory: Path, identity: Identity | None = None) -> None:
        self.directory = directory
        self._identity = identity or Identity()

    async def run(self, *arguments: str, check: bool = True, env: Mapping[str, str] | None = None) -> GitResult:
        """Run to the end. Raises OrchestratorError GIT_FAILED with what git said, unless `check` is off.

        A cancelled call first ends git and all that it has started: a helper of git survives its parent and would go
        on. So does a call that takes longer than 120 s; its error is transient.
        """
        process = await asyncio.create_subprocess_exec(
            "git", *_OVERRIDES, *arguments,
            cwd=self.directory, env={**self._environment(), **(env or {})},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=_MAX_OUTPUT, start_new_session=True,
        )  # fmt: skip
        done = False
        try:
            async with asyncio.timeout(TIMEOUT_S):
                stdout, stderr = await process.communicate()
            done = True
        except TimeoutError:
            raise _failed(arguments, "git took too long", ErrorClass.TRANSIENT) from None
        finally:
            if not done:
                # Its group: it is the leader of a session of its own.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        said = readable(stderr.decode(errors="replace"))
        result = GitResult(process.returncode or 0, stdout, bounded(said, _MAX_STDERR), self.directory)
        if check and result.exit_code != 0:
            result.raise_if_busy(arguments[0])
            raise _failed(arguments, result.stderr, ErrorClass.PERMANENT)
        return result

    async def text(self, *arguments: str) -> str:
        """Standard output of a command that must succeed, without the last newline."""
        return (await self.run(*arguments)).text

    async def commit_of(self, revision: str) -> str | None:
        """The full commit id, or None when there is no such commit here."""
        found = await self.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", check=False
        )
        return found.text if found.exit_code == 0 else None

    async def contains(self, ancestor: str, descendant: str) -> bool:
        """Whether `ancestor` is `descendant` or before it."""
        found = await self.run("merge-base", "--is-ancestor", ancestor, descendant, check=False)
        if found.exit_code not in (0, 1):
            raise _failed(("merge-base",), found.stderr, ErrorClass.PERMANENT)
        return found.exit_code == 0

    async def changed_files(self, before: str, after: str) -> list[str]:
        """Names that differ between two commits, as many as a message can hold."""
        diff = await self.run(
            "diff", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", "-z", before, after, "--"
        )
        return bounded_list(map(readable, diff.paths))

    async def depth(self, commit: str) -> int:
        """How many directories the deepest file of a commit is in."""
        listed = await self.run("ls-tree", "-r", "-z", "--full-tree", "--name-only", commit, "--")
        return max((path.count("/") for path in listed.paths), default=0)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(_CONFIG),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            # An agent's repository may name a remote that has its missing objects, and a program to get them with.
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "file",
            **self._identity.environment(),
        }


@asynccontextmanager
async def temporary_directory(parent: Path) -> AsyncIterator[Path]:
    """A directory under `parent` (so that a rename stays on one disk) that is gone afterwards.

    Its maker holds a lock on it: those of makers that were killed go with the next call.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with file_lock(parent.with_name(f"{parent.name}.lock")):
        await asyncio.to_thread(_remove_abandoned, parent)
        directory = Path(tempfile.mkdtemp(dir=parent))
        held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield directory
    finally:
        await asyncio.to_thread(remove_tree, directory)
        os.close(held)


def _remove_abandoned(parent: Path) -> None:
    for directory in parent.glob("*/"):
        try:
            found = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            remove_tree(directory)
        finally:
            os.close(found)


def _failed(arguments: tuple[str, ...], stderr: str, kind: ErrorClass) -> OrchestratorError:
    what = next((one for one in arguments if not one.startswith("-")), "git")
    return OrchestratorError(
        ErrorCode.GIT_FAILED,
        f"git {what} failed: {bounded(stderr.strip(), 500)}",
        error_class=kind,
        details={"command": what, "stderr": stderr},
    )
