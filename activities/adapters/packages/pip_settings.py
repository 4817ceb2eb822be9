"""Translates pip's configuration on this machine for uv, which reads none of it and installs everything here.

`python activities/adapters/packages/pip_settings.py PROGRAM ARGUMENT...` becomes that program, with uv's variables set.
Standard library only: `make install` runs it before there are packages.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping

INSTALLER_VARIABLES = ("PIP_", "UV_", "SSL_", "REQUESTS_CA_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
                       "NETRC", "XDG_CONFIG_")  # fmt: skip
"""How the names of variables begin, in upper case, that say how packages are reached."""
_LIST_TIMEOUT_S = 60
_NO_INDEX = "file:///nonexistent"
"""An index without packages: uv has no variable for `no-index`."""
_TOLD = {
    "index-url": ("UV_DEFAULT_INDEX",), "extra-index-url": ("UV_INDEX",), "find-links": ("UV_FIND_LINKS",),
    "trusted-host": ("UV_INSECURE_HOST",), "cert": ("SSL_CERT_FILE",), "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("HTTP_PROXY", "HTTPS_PROXY"), "keyring-provider": ("UV_KEYRING_PROVIDER",),
    "constraint": ("UV_CONSTRAINT",), "retries": ("UV_HTTP_RETRIES",),
    "default-timeout": ("UV_HTTP_TIMEOUT",), "timeout": ("UV_HTTP_TIMEOUT",),
}  # fmt: skip
_SWITCHES = {
    "no-index": ("UV_DEFAULT_INDEX", _NO_INDEX), "pre": ("UV_PRERELEASE", "allow"),
    "require-hashes": ("UV_REQUIRE_HASHES", "true"), "use-feature": ("UV_SYSTEM_CERTS", "true"),
}  # fmt: skip
_WITHOUT_EFFECT = frozenset(
    {
        "break-system-packages", "cache-dir", "compile", "config-file", "disable-pip-version-check", "exists-action",
        "log", "no-binary", "no-cache-dir", "no-color", "no-compile", "no-input", "no-python-version-warning",
        "no-warn-conflicts", "no-warn-script-location", "only-binary", "prefer-binary", "prefix", "progress-bar",
        "quiet", "require-virtualenv", "root", "root-user-action", "src", "target", "user", "verbose",
    }
)  # fmt: skip
"""On which packages are installed here, and from where: we say ourselves that wheels are wanted, and into what."""
_OFF = frozenset({"", "0", "false", "no", "off", "n", "f", "disabled", "auto"})
_SOURCES = frozenset({"UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"})
_OWN_SOURCES = _SOURCES | {"UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_CONFIG_FILE"}
_URL = re.compile(r"(?:https?|socks5h?)://(?:([^\s/@]*)@)?[^\s/?#,@]*([^\s?#,]*)([^\s,]*)")


class UnusableSettings(ValueError):
    """Its text says which pip setting uv does not have, or why pip's settings could not be read."""


def pip_settings() -> dict[str, str]:
    """pip's options and their values, as pip reports them from files and environment. Raises UnusableSettings."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=_LIST_TIMEOUT_S, check=True)  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()
        raise UnusableSettings("\n".join(["`pip config list` failed:", *said.splitlines()[-3:]])) from None
    return parse_pip_settings(done.stdout)


def parse_pip_settings(listing: str) -> dict[str, str]:
    """Lines `section.option='value'`; values of several words or lines stay as they are."""
    found: dict[str, str] = {}
    # A later one wins, as it does for pip.
    for section in ("global", "install", ":env:"):
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                found[key.removeprefix(f"{section}.").replace("_", "-")] = str(ast.literal_eval(value))
    return found


def uv_variables(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The variables with which uv installs from the same places, with the same trust, as pip with `settings`.

    If `environment` names sources for uv, those are used, and no source of pip is added; other variables of
    `environment` win one by one. Raises UnusableSettings for a setting without a counterpart.
    """
    told: dict[str, str] = {}
    # In this order "no-index" wins over "index-url", and "timeout" over "default-timeout".
    for option, value in sorted(settings.items()):
        if option not in _WITHOUT_EFFECT and value.lower() not in _OFF:
            told |= _told(option, value)
    if told.get("UV_DEFAULT_INDEX") == _NO_INDEX:
        told.pop("UV_INDEX", None)
    if bundle := environment.get("REQUESTS_CA_BUNDLE"):
        told.setdefault("SSL_CERT_FILE", bundle)
    if _OWN_SOURCES & set(environment):
        told = {name: value for name, value in told.items() if name not in _SOURCES}
    if "UV_INDEX" in told:
        # To pip all indexes are one; uv by default keeps to the first that knows the name.
        told["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in told.items() if name not in environment}


def _told(option: str, value: str) -> dict[str, str]:
    if option in _TOLD:
        return dict.fromkeys(_TOLD[option], ("," if option == "find-links" else " ").join(value.split()))
    if option in _SWITCHES:
        return dict([_SWITCHES[option]])
    raise UnusableSettings(f"uv has no counterpart of pip's setting `{option}`. Remove it from pip's configuration, or "
                           f"set PIP_{option.upper().replace('-', '_')} to an empty value.")  # fmt: skip


def secrets_in(variables: Mapping[str, str]) -> set[str]:
    """The parts of the URLs in `variables` that may be secret and that uv may quote: all but scheme and host."""
    urls = [url for value in variables.values() for url in _URL.findall(value)]
    return {part for user, path, query in urls for part in (user, *user.split(":"), path.rstrip("/"), query) if part}


def main() -> None:
    try:
        variables = uv_variables(pip_settings(), os.environ)
    except UnusableSettings as error:
        sys.exit(str(error))
    os.execvpe(sys.argv[1], sys.argv[1:], {**os.environ, **variables})


if __name__ == "__main__":
    main()
