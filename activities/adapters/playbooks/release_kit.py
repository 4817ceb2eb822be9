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
from activities.adapters.release.build_context import add
from activities.adapters.release.door.supervised import caddy

_ROOT = Path(activities.__file__).resolve().parents[1]
_MODULES = {
    "containers": ("command", "interrupted_builds"),
    "release": (
        "addresses",
        "containers",
        "directory",
        "engine_socket",
        "networks",
        "order",
        "probe",
        "program",
        "retention",
        "services",
    ),
    "release/door": ("front_door", "link_local", "switching", "systemd", "unit"),
    "runs": ("process_table", "states", "trees", "unprivileged"),
}
"""Of the adapters, by package."""
_FILES = (
    *(f"contracts/{name}.py" for name in ("__init__", "errors", "ids", "redaction", "states")),
    "activities/__init__.py",
    "activities/adapters/__init__.py",
    *(f"activities/adapters/{package}/{name}.py" for package in _MODULES for name in ("__init__", *_MODULES[package])),
)
_MAIN = """import sys
from activities.adapters.release.containers import services_of
from activities.adapters.release.door import unit
from activities.adapters.release.program import main
sys.exit(unit.main(sys.argv[2:]) if sys.argv[1:2] == ["door"] else main(services_of))
"""
PLAYBOOK = _ROOT / "infra" / "playbooks" / "prepare_server.yml"
"""Brings it to a server; a server is prepared anew when either changes."""
_DIRECTORY = "/opt/orchestrator"
SERVICES = "/srv"
"""Where the projects of a server are."""
_MTIME = 315_532_800
"""1980: the same for the same code, and late enough for tar."""
NOT_THERE = 90
"""An exit code that neither Python nor the release program uses."""


@dataclass(frozen=True)
class ReleaseKit:
    """`path` is where it is on every server, `content` a compressed archive of it.

    `door` is where Caddy is there, and `caddy` the file of this machine that it is a copy of; empty and None where the
    platform has none.
    """

    path: str
    content: bytes
    door: str = ""
    caddy: Path | None = None

    @property
    def command(self) -> str:
        """A shell command that carries out one order; it exits with `NOT_THERE` when the server has to be prepared
        first."""
        return f"sh -c 'test -d {self.path} || exit {NOT_THERE}; exec /usr/bin/python3 -I {self.path}'"


@cache
def release_kit() -> ReleaseKit:
    """The kit of this platform's code: the same bytes for the same code. The first call reads all of Caddy."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name in _FILES:
            add(archive, name, (_ROOT / name).read_bytes(), _MTIME)
        add(archive, "__main__.py", _MAIN.encode(), _MTIME)
    content, program = target.getvalue(), caddy()
    door = f"{_DIRECTORY}/caddy-{_digest_of(program)[:16]}" if program else ""
    digest = hashlib.sha256(content + PLAYBOOK.read_bytes() + door.encode()).hexdigest()[:16]
    return ReleaseKit(f"{_DIRECTORY}/release-{digest}", gzip.compress(content, mtime=0), door, program)


def _digest_of(program: Path) -> str:
    with program.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
