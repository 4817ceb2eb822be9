"""The platform in the home of these settings: where its parts listen, and the operator's key.

The first `up` chooses ports, and every later command finds them again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from contracts.errors import ErrorCode, OrchestratorError
from runtime import private_files
from runtime.settings import Settings, load_settings

API_URL = "ORCHESTRATOR_API_URL"
TOKEN = "ORCHESTRATOR_TOKEN"
REMEMBERED_PORTS = ("api_port", "ui_port", "temporal_port", "postgres_port", "model_proxy_port")
_PUBLIC_URL = "public_url"
ADDRESSES = (*REMEMBERED_PORTS, _PUBLIC_URL)
_STARTED_BY_COMPOSE = {
    "up": "docker-compose up -d",
    "down": "docker-compose down",
    "demo": "docker-compose exec api orchestrator delivery start",
}
_HIGHEST_BASE = 65_535 - 3


def settings_for(command: str, port_base: int | None = None) -> Settings:
    """The settings for a command about this machine; refused while the environment names another platform.

    Where Compose has started the parts, commands that start and stop them are refused as well.
    """
    if os.environ.get(API_URL):
        raise OrchestratorError(
            ErrorCode.INVALID_INPUT,
            f"`orchestrator {command}` is for the platform on this machine, but {API_URL} names another one. "
            f"Unset {API_URL} and run the command again.",
        )
    settings = effective_settings(port_base)
    if settings.stack == "compose" and command in _STARTED_BY_COMPOSE:
        raise OrchestratorError(
            ErrorCode.INVALID_INPUT,
            f"Compose starts and stops this platform, so `orchestrator {command}` does nothing here. On its machine, "
            f"use `{_STARTED_BY_COMPOSE[command]}`.",
        )
    return settings


def effective_settings(port_base: int | None = None) -> Settings:
    """Settings of the environment, with the remembered ports and public address where the environment names none.

    `port_base` asks for others.
    """
    settings = load_settings()
    remembered = _read(_file(settings))
    chosen: dict[str, Any] = {
        name: remembered[name]
        for name in REMEMBERED_PORTS
        if name not in settings.model_fields_set and isinstance(remembered.get(name), int)
    }
    known_url = remembered.get(_PUBLIC_URL)
    if _PUBLIC_URL not in settings.model_fields_set and isinstance(known_url, str):
        chosen[_PUBLIC_URL] = known_url
    if port_base is not None:
        chosen |= ports_of_base(port_base)
    return settings.model_copy(update=chosen)


def ports_of_base(port_base: int) -> dict[str, int]:
    """N for the API, N+1 for the Web UI, N+2 for Temporal and N+3 for the model proxy, by the names of the settings."""
    if not 1 <= port_base <= _HIGHEST_BASE:
        raise OrchestratorError(ErrorCode.INVALID_INPUT, f"--port-base must be from 1 to {_HIGHEST_BASE}.")
    names = ("api_port", "ui_port", "temporal_port", "model_proxy_port")
    return {name: port_base + number for number, name in enumerate(names)}


def remembered_addresses(settings: Settings) -> dict[str, Any]:
    """The addresses at which parts of this home have worked last, by the names of their settings."""
    known = _read(_file(settings))
    return {name: known[name] for name in ADDRESSES if name in known}


def remember(settings: Settings, names: Iterable[str]) -> None:
    """Keep addresses of a part that works there. One that never answered must not hide where the platform is."""
    private_files.make_directory(_file(settings).parent)
    kept = remembered_addresses(settings) | {name: getattr(settings, name) for name in names}
    private_files.replace(_file(settings), json.dumps(kept))


def admin_key_file(settings: Settings) -> Path:
    """Where the bootstrap of the API leaves the administrator's key."""
    return settings.home / "keys" / "admin.key"


def admin_key(settings: Settings) -> str:
    """The administrator's key on the platform's host."""
    path = admin_key_file(settings)
    if not path.exists():
        raise OrchestratorError(
            ErrorCode.API_UNREACHABLE,
            f"There is no platform in {settings.home} yet. Start it with `orchestrator up`, "
            f"or set {API_URL} and {TOKEN} to use one elsewhere.",
        )
    return private_files.read(path).strip()


def admin_key_holder() -> Callable[[str], Path] | None:
    """Puts another key into the administrator's key file and says where; None where commands use another API."""
    if os.environ.get(API_URL):
        return None
    path = admin_key_file(effective_settings())

    def keep(key: str) -> Path:
        private_files.replace(path, key)
        return path

    return keep


def _file(settings: Settings) -> Path:
    return settings.processes_dir / "endpoints.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
