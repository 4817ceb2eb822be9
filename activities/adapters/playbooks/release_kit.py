"""The part of this code that runs on servers: a directory that Python executes, and compiles there once.

Its name carries the hash of its content, so that a server never runs an old one for a new platform.
"""

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import activities
from activities.adapters.containers.command import Reply
from activities.adapters.servers.remote_shell import ServerAccess, run_on
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

_ROOT = Path(activities.__file__).resolve().parents[1]
_MODULES = {
    "containers": ("command",),
    "release": ("container_steps", "containers", "directory", "engine_socket", "probe", "services"),
    "runs": ("process_table", "states", "unprivileged"),
}
"""Of the adapters, by package."""
_FILES = (
    *(f"contracts/{name}.py" for name in ("__init__", "errors", "ids", "redaction", "states")),
    "activities/__init__.py",
    "activities/adapters/__init__.py",
    *(f"activities/adapters/{package}/{name}.py" for package in _MODULES for name in ("__init__", *_MODULES[package])),
)
_MAIN = "import sys\nfrom activities.adapters.release.container_steps import main\nsys.exit(main())\n"
_DIRECTORY = "/opt/orchestrator"
_MTIME = 315_532_800
"""1980: the same for the same code, and late enough for tar."""
NOT_THERE = 90
"""An exit code that neither Python nor the release program uses."""


@dataclass(frozen=True)
class ReleaseKit:
    """`path` is where it is on every server, `content` a compressed archive of it."""

    path: str
    content: bytes

    async def install(self, access: ServerAccess) -> None:
        """Put it on the server unless it is there."""
        reply = await run_on(access, self.upload, stdin=self.content)
        if reply.code != 0:
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED,
                f"The release program cannot be installed on {access.handle}: {reply.error[-500:]}",
                error_class=ErrorClass.TRANSIENT,
            )

    async def run(self, access: ServerAccess, order: bytes, *, timeout_s: float) -> Reply:
        """Have it do one order; it is put on the server when it is not there. One connection when it is."""
        reply = await run_on(access, self.command, stdin=order, timeout_s=timeout_s)
        if reply.code != NOT_THERE:
            return reply
        await self.install(access)
        return await run_on(access, self.command, stdin=order, timeout_s=timeout_s)

    @property
    def upload(self) -> str:
        """A shell command that unpacks its input there; what a cut connection leaves of it is not taken for the whole.

        Of two concurrent calls the second finds it installed.
        """
        return (
            f"sh -c 'mkdir -p {_DIRECTORY} && draft=$(mktemp -d {self.path}.XXXXXX)"
            f" && {{ tar -xzf - -C $draft && sync -f $draft && mv -T $draft {self.path}"
            f" || {{ rm -rf $draft; test -d {self.path}; }}; }}'"
        )

    @property
    def command(self) -> str:
        """A shell command that does one order; it ends with `NOT_THERE` when it has to be uploaded first."""
        return f"sh -c 'test -d {self.path} || exit {NOT_THERE}; exec /usr/bin/python3 -I {self.path}'"


@cache
def release_kit() -> ReleaseKit:
    """The kit of this platform's code: the same bytes for the same code."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name in _FILES:
            _add(archive, name, (_ROOT / name).read_bytes())
        _add(archive, "__main__.py", _MAIN.encode())
    content = target.getvalue()
    return ReleaseKit(
        f"{_DIRECTORY}/release-{hashlib.sha256(content).hexdigest()[:16]}", gzip.compress(content, mtime=0)
    )


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(content), _MTIME
    archive.addfile(member, io.BytesIO(content))
