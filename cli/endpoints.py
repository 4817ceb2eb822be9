"""Where the parts of this home's platform listen, and where people reach it.

Chosen by the first `up`, found again by every later command.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import ErrorCode, OrchestratorError

if TYPE_CHECKING:
    from runtime.settings import Settings

_REMEMBERED = ("api_port", "ui_port", "temporal_port", "postgres_port")
_PUBLIC_URL = "public_url"
_HIGHEST_BASE = 65_535 - 3


def effective_settings(port_base: int | None = None) -> Settings:
    """Settings of the environment, with the remembered ports and public address where the environment names none.

    `port_base` N asks for N (API), N+1 (Web UI) and N+2 (Temporal).
    """
    from runtime.settings import load_settings

    settings = load_settings()
    remembered = _read(_file(settings))
    chosen: dict[str, Any] = {
        name: remembered[name]
        for name in _REMEMBERED
        if name not in settings.model_fields_set and isinstance(remembered.get(name), int)
    }
    known_url = remembered.get(_PUBLIC_URL)
    if _PUBLIC_URL not in settings.model_fields_set and isinstance(known_url, str):
        chosen[_PUBLIC_URL] = known_url
    if port_base is not None:
        if not 1 <= port_base <= _HIGHEST_BASE:
            raise OrchestratorError(ErrorCode.INVALID_INPUT, f"--port-base is between 1 and {_HIGHEST_BASE}.")
        chosen |= {"api_port": port_base, "ui_port": port_base + 1, "temporal_port": port_base + 2}
    return settings.model_copy(update=chosen)


def remember(settings: Settings) -> None:
    """Keep the ports and the public address of a platform that is being started: links are made elsewhere, too."""
    from runtime import private_files

    private_files.make_directory(_file(settings).parent)
    kept = {name: getattr(settings, name) for name in (*_REMEMBERED, _PUBLIC_URL)}
    private_files.replace(_file(settings), json.dumps(kept))


def child_environment(settings: Settings) -> dict[str, str]:
    """The variables that make another process of ours see exactly these settings."""
    chosen = {f"ORCHESTRATOR_{name.upper()}": str(getattr(settings, name)) for name in _REMEMBERED}
    return {
        **chosen,
        "ORCHESTRATOR_HOME": str(settings.home),
        "ORCHESTRATOR_PUBLIC_URL": settings.public_url or "",
    }


def _file(settings: Settings) -> Path:
    return settings.processes_dir / "endpoints.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
