"""How this machine reaches package registries: for uv, and for builds elsewhere (index, proxies, certificates).

A build's Dockerfile copies the directory `.registry` of its context, if there is one. It holds `pip.conf` and
`ca.crt`. Both may be there or not, and what is local to this machine (files, directories) stays out.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from activities.adapters.packages.pip_settings import UnusableSettings, pip_settings, uv_variables
from contracts.errors import ErrorCode, OrchestratorError

FOLDER = ".registry"
CERTIFICATE = "/build/ca.crt"
_PASSED_ON = ("index-url", "extra-index-url", "trusted-host", "default-timeout", "timeout", "retries", "proxy")
_CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")

Made = TypeVar("Made")


def settings_for_uv() -> dict[str, str]:
    """The variables that give uv pip's settings. Raises OrchestratorError SETTINGS_INVALID with what to do."""
    return _made_of_settings(uv_variables)


def registry_files() -> dict[str, str]:
    """Files by name (below the build context); empty if pip has no special settings. Raises SETTINGS_INVALID too."""
    return _made_of_settings(registry_files_of)


def _made_of_settings(make: Callable[[Mapping[str, str], Mapping[str, str]], Made]) -> Made:
    try:
        return make(pip_settings(), os.environ)
    except UnusableSettings as error:
        raise OrchestratorError(ErrorCode.SETTINGS_INVALID, str(error)) from None


def registry_files_of(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Pure but for reading the certificates."""
    lines = {name: value for name, text in settings.items() if name in _PASSED_ON and (value := _remote(text))}
    bundle = settings.get("cert") or next((environment[name] for name in _CERTIFICATES if environment.get(name)), None)
    files = {}
    if bundle and Path(bundle).is_file():
        files[f"{FOLDER}/ca.crt"] = Path(bundle).read_text()
        lines["cert"] = CERTIFICATE
    if lines:
        text = "".join(f"{name} = {value}\n" for name, value in sorted(lines.items()))
        files[f"{FOLDER}/pip.conf"] = f"[global]\n{text}"
    return files


def _remote(value: str) -> str:
    """Without what only this machine has."""
    return " ".join(part for part in value.split() if not part.startswith(("file:", "/", ".")))
