"""What uv inside a container needs to install as pip on this machine would: the same sources and certificates."""

import asyncio
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from activities.adapters.containers.engine import Bind
from activities.adapters.packages.pip_settings import INSTALLER_VARIABLES
from activities.adapters.packages.registry_access import settings_for_uv

_TOO_HIGH = 2
_COPIES = ".installer"
_HERE_ONLY = ("PIP_", "REQUESTS_CA_", "XDG_CONFIG_", "UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_PYTHON", "UV_PROJECT")
"""What is pip's, or about this machine."""


@dataclass(frozen=True)
class InstallerAccess:
    """`environment` may hold credentials of a package index: never put it where others can read it.

    `files` are copied into the container's home, by path below it: the engine may not see the files of this process.
    `binds` are directories (of a local index), which it has to see.
    """

    environment: dict[str, str]
    files: dict[str, bytes]
    binds: tuple[Bind, ...]


async def installer_access(home: str) -> InstallerAccess:
    """Read from pip's own configuration (files and PIP_ variables) and this process's variables for uv and for proxies.

    `home` is that of the container. Raises OrchestratorError SETTINGS_INVALID for a setting that uv does not have.
    """
    own = {name: value for name, value in os.environ.items() if name.upper().startswith(INSTALLER_VARIABLES)}
    netrc = Path(own.pop("NETRC", "") or Path.home() / ".netrc")
    own |= {"NETRC": str(netrc)} if netrc.is_file() else {}
    told = own | await asyncio.to_thread(settings_for_uv)
    variables = {name: value for name, value in told.items() if value and not name.startswith(_HERE_ONLY)}
    variables, files = _copied(variables, home)
    paths = sorted({path for name, value in variables.items() for path in _paths(name, value)})
    binds = tuple(Bind(str(path), str(path), read_only=True, host_path=True) for path in paths)
    return InstallerAccess(variables, files, binds)


def _copied(variables: dict[str, str], home: str) -> tuple[dict[str, str], dict[str, bytes]]:
    """The variables with the paths that files of this machine get in the container, and those files."""
    changed, files = dict(variables), {}
    for name, value in variables.items():
        path = Path(value)
        if path.is_absolute() and path.is_file():
            copy = f"{_COPIES}/{hashlib.sha256(value.encode()).hexdigest()[:16]}"
            files[copy] = path.read_bytes()
            changed[name] = f"{home}/{copy}"
    return changed, files


def _paths(name: str, value: str) -> list[Path]:
    """Absolute paths in a value, those of file URLs too, which exist here.

    The pages of a local index point to files beside it, so its parent is what is needed.
    """
    found = []
    for word in re.split(r"[\s,]+", value):
        path = Path(word.removeprefix("file://"))
        # Never the root of the machine, or a top-level directory of it.
        if path.is_absolute() and path.exists() and len(path.parts) > _TOO_HIGH:
            in_index = "INDEX" in name and path.is_dir() and len(path.parent.parts) > _TOO_HIGH
            found.append(path.parent if in_index else path)
    return found
