"""How this machine reaches package registries (index, proxies, certificates): for uv, and for builds elsewhere.

And whether packages were missing because of the machine or the network, in the words of uv and of pip.

A build's Dockerfile copies the directory `.registry` of its context, if there is one. It holds `pip.conf` and
`ca.crt`. Both may be there or not, and what is local to this machine (files, directories) stays out.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from activities.adapters.packages.pip_settings import UnusableSettings, pip_settings, uv_variables
from contracts.errors import ErrorCode, OrchestratorError

FOLDER = ".registry"
CERTIFICATE = "/build/ca.crt"
_PASSED_ON = ("index-url", "extra-index-url", "trusted-host", "default-timeout", "timeout", "retries", "proxy")
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_NO_REGISTRY = re.compile(
    r"No matching distribution found|Max retries exceeded|Temporary failure in name resolution|"
    r"NewConnectionError|ReadTimeoutError|Connection (?:refused|reset)|network is unreachable|"
    r"Could not install packages due to an (?:OSError|EnvironmentError)|"
    r"Failed to (?:fetch|download)|error sending request|was not found in the package registry",
    re.IGNORECASE,
)
_OTHER_VERSIONS = re.compile(r"\(from versions: (?!none\))[^)]+\)")
"""The registry answered and has other versions: the requirement is wrong, not the network."""


def settings_for_uv() -> dict[str, str]:
    """The variables that give uv pip's settings. Raises OrchestratorError SETTINGS_INVALID with what to do."""
    with _settings() as settings:
        return uv_variables(settings, os.environ)


def registry_files() -> dict[str, str]:
    """Files by name (below the build context); empty if pip has no special settings. Raises SETTINGS_INVALID too."""
    with _settings() as settings:
        return registry_files_of(settings, os.environ)


@contextmanager
def _settings() -> Iterator[Mapping[str, str]]:
    try:
        yield pip_settings()
    except UnusableSettings as error:
        raise OrchestratorError(ErrorCode.SETTINGS_INVALID, str(error)) from None


def registry_files_of(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Pure but for reading the certificates."""
    lines = {name: value for name, text in settings.items() if name in _PASSED_ON and (value := _remote(text))}
    bundle = settings.get("cert") or environment.get("REQUESTS_CA_BUNDLE") or environment.get("SSL_CERT_FILE")
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


def registry_trouble(output: str) -> bool:
    """Whether packages could not be had because of the machine or the network, and not because of their names."""
    return disk_is_full(output) or registry_is_away(output)


def registry_is_away(output: str) -> bool:
    """Whether the registry did not answer, or has nothing of that name."""
    return bool(_NO_REGISTRY.search(output) and not _OTHER_VERSIONS.search(output))


def disk_is_full(output: str) -> bool:
    """Whether a program said so."""
    return bool(_DISK_FULL.search(output))
