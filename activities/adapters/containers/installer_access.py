"""What pip and uv inside a container need to install as pip on this machine does: the same sources and certificates."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from activities.adapters.containers.engine import Bind
from activities.adapters.packages.pip_settings import pip_settings, uv_variables

_OPTIONS = frozenset(
    {
        "index-url", "extra-index-url", "find-links", "no-index", "cert", "client-cert", "trusted-host", "proxy",
        "timeout", "default-timeout", "retries", "prefer-binary", "only-binary",
    }
)  # fmt: skip
"""Where packages come from. Options that say where they go (target, prefix, user) stay outside."""
_VARIABLES = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY",
    "NO_PROXY", "all_proxy", "ALL_PROXY",
)  # fmt: skip
_TOO_HIGH = 2
_COPIES = ".installer"
PIP_ONLY = "PACKAGES_BY_PIP_ONLY"
"""Set where uv must not be asked."""


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
    """From pip's own configuration (files and PIP_ variables) and the usual variables of this process, for pip and uv.

    `home` is that of the container.
    """
    variables = {name: os.environ[name] for name in _VARIABLES if os.environ.get(name)}
    known = await asyncio.to_thread(pip_settings)
    settings = known or {}
    pip = {option: f"PIP_{option.upper().replace('-', '_')}" for option in settings if option in _OPTIONS}
    variables |= {name: settings[option] for option, name in pip.items()}
    variables, files = _copied(variables, home)
    paths = sorted({path for name, value in variables.items() for path in _paths(name, value)})
    binds = tuple(Bind(str(path), str(path), read_only=True, host_path=True) for path in paths)
    moved = None if known is None else settings | {option: variables[name] for option, name in pip.items()}
    for_uv = uv_variables(moved, variables)
    variables |= {PIP_ONLY: "1"} if for_uv is None else {k: v for k, v in for_uv.items() if k != "UV_CONSTRAINT"}
    return InstallerAccess(variables, files, binds)


def _copied(variables: dict[str, str], home: str) -> tuple[dict[str, str], dict[str, bytes]]:
    """The variables with the places that files of this machine (certificates) get in the container, and the files."""
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
    for word in value.split():
        path = Path(word.removeprefix("file://"))
        if not path.is_absolute() or not path.exists():
            continue
        needed = path.parent if name.endswith("INDEX_URL") and path.is_dir() else path
        # Never the root of the machine, or a top-level directory of it.
        found.append(needed if len(needed.parts) > _TOO_HIGH else path)
    return [path for path in found if len(path.parts) > _TOO_HIGH]
