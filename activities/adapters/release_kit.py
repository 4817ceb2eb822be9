"""The part of this code that runs on servers, as one file: a zip archive that Python executes.

Its name carries the hash of its content, so that a server never runs an old one for a new platform.
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from activities.adapters.docker_command import Reply
from activities.adapters.remote_shell import ServerAccess, run_on
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

_ROOT = Path(__file__).resolve().parents[2]
_ADAPTERS = (
    "container_steps", "docker_command", "engine_socket", "probe", "process_table", "release_containers",
    "release_directory", "release_services", "supervision", "unprivileged",
)  # fmt: skip
_FILES = (
    *(f"contracts/{name}.py" for name in ("__init__", "errors", "ids", "redaction", "states")),
    "activities/__init__.py",
    "activities/adapters/__init__.py",
    *(f"activities/adapters/{name}.py" for name in _ADAPTERS),
)
_MAIN = "import sys\nfrom activities.adapters.container_steps import main\nsys.exit(main())\n"
_DIRECTORY = "/opt/orchestrator"
_NOT_THERE = 90
"""An exit code that neither Python nor the release program uses."""


@dataclass(frozen=True)
class ReleaseKit:
    """`path` is where it is on every server."""

    path: str
    content: bytes

    async def install(self, access: ServerAccess) -> None:
        """Put it on the server unless it is there."""
        if (await run_on(access, f"test -f {self.path}")).code == 0:
            return
        reply = await run_on(access, f"sh -c '{self.upload}'", stdin=self.content)
        if reply.code != 0:
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED,
                f"The release program cannot be put on {access.handle}: {reply.error[-500:]}",
                error_class=ErrorClass.TRANSIENT,
            )

    async def run(self, access: ServerAccess, order: bytes, *, timeout_s: float) -> Reply:
        """Have it do one order; it is put on the server when it is not there. One connection when it is."""
        command = f"sh -c 'test -f {self.path} || exit {_NOT_THERE}; exec {self.command}'"
        reply = await run_on(access, command, stdin=order, timeout_s=timeout_s)
        if reply.code != _NOT_THERE:
            return reply
        await self.install(access)
        return await run_on(access, command, stdin=order, timeout_s=timeout_s)

    @property
    def upload(self) -> str:
        """A shell script that puts its input there; what a cut connection leaves of it is not taken for the whole."""
        whole = f'echo "{hashlib.sha256(self.content).hexdigest()}  $draft" | sha256sum --check --status'
        return (
            f"mkdir -p {_DIRECTORY} && draft=$(mktemp {self.path}.XXXXXX) && cat > $draft"
            f" && {{ {whole} && mv $draft {self.path} || {{ rm -f $draft; exit 1; }}; }}"
        )

    @property
    def command(self) -> str:
        return f"/usr/bin/python3 -I {self.path}"


@cache
def release_kit() -> ReleaseKit:
    """The kit of this platform's code: the same bytes for the same code."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _FILES:
            _add(archive, name, (_ROOT / name).read_bytes())
        _add(archive, "__main__.py", _MAIN.encode())
    content = target.getvalue()
    return ReleaseKit(f"{_DIRECTORY}/release-{hashlib.sha256(content).hexdigest()[:16]}.pyz", content)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
