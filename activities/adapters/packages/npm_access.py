"""How this machine reaches the registry of npm, for builds elsewhere: its npmrc files and NPM_CONFIG_ variables."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

_MACHINE = ("/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc")
_PASSED_ON = re.compile(
    r"registry|@[A-Za-z0-9._-]+:registry|//\S+:_(?:auth|authToken|password)|//\S+:username|proxy|https-proxy|noproxy|"
    r"strict-ssl|fetch-retries|fetch-timeout|fetch-retry-(?:factor|mintimeout|maxtimeout)"
)
"""Where packages come from and how long to wait; what is about this machine or about people stays."""
_LINE = re.compile(r"\s*([^\s=;#][^=]*?)\s*=\s*(.*?)\s*")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FROM_ENVIRONMENT = re.compile(r"npm_config_(registry|proxy|https_proxy|noproxy|strict_ssl|fetch_\w+)", re.IGNORECASE)


def npmrc_lines(environment: Mapping[str, str], home: Path) -> tuple[list[str], str | None]:
    """The lines of an npmrc for a build, and the certificates that npm trusts here, if there are any."""
    settings: dict[str, str] = {}
    for file in _files(environment, home):
        settings |= dict(_settings(file.read_text(errors="replace").splitlines(), environment))
    for name, value in environment.items():
        if (found := _FROM_ENVIRONMENT.fullmatch(name)) and value:
            settings[found[1].lower().replace("_", "-")] = value
    bundle = environment.get("NPM_CONFIG_CAFILE") or settings.get("cafile")
    trusted = Path(bundle).read_text() if bundle and Path(bundle).is_file() else None
    return [f"{key}={value}" for key, value in sorted(settings.items()) if _PASSED_ON.fullmatch(key)], trusted


def _files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """Those that exist; a later one wins, as it does for npm."""
    named = environment.get("NPM_CONFIG_GLOBALCONFIG") or environment.get("npm_config_globalconfig")
    own = environment.get("NPM_CONFIG_USERCONFIG") or environment.get("npm_config_userconfig")
    every = [*([named] if named else _MACHINE), own or str(home / ".npmrc")]
    return [path for one in every if (path := Path(one)).is_file() and os.access(path, os.R_OK)]


def _settings(lines: Iterable[str], environment: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        if found := _LINE.fullmatch(line):
            value = found[2].strip("\"'")
            yield found[1], _VARIABLE.sub(lambda name: environment.get(name[1], name[0]), value)
