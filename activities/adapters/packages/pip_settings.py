"""How pip is configured on this machine, and the same for uv, which reads none of it and is ten times faster.

`python activities/adapters/packages/pip_settings.py PROGRAM ARGUMENT...` becomes that program, with uv's variables
set; or it ends with 1, where uv must not be asked. Standard library only: `make install` runs it before there are
packages.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping

_SECTIONS = ("global", "install", ":env:")
"""A later one wins, as it does for pip."""
_LIST_TIMEOUT_S = 60
_LISTS = {"find-links": ("UV_FIND_LINKS", ","), "trusted-host": ("UV_INSECURE_HOST", " "),
          "extra-index-url": ("UV_INDEX", " "), "constraint": ("UV_CONSTRAINT", " ")}  # fmt: skip
_SINGLE = {
    "index-url": ("UV_DEFAULT_INDEX",),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("HTTP_PROXY", "HTTPS_PROXY"),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "retries": ("UV_HTTP_RETRIES",),
}
_WITHOUT_EFFECT = frozenset(
    {
        "break-system-packages", "cache-dir", "compile", "config-file", "disable-pip-version-check", "exists-action",
        "log", "no-cache-dir", "no-color", "no-compile", "no-input", "no-python-version-warning", "only-binary",
        "no-warn-script-location", "prefer-binary", "progress-bar", "quiet", "require-virtualenv", "root-user-action",
        "verbose",
    }
)  # fmt: skip
"""On which packages are installed here, and from where: we say ourselves that wheels are wanted, and into what."""
_OFF = frozenset({"", "0", "false", "no", "off", "n", "f", "disabled"})
_SOURCES = frozenset({"UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"})
_OWN_SOURCES = _SOURCES | {"UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX", "UV_CONFIG_FILE"}


def pip_settings() -> dict[str, str] | None:
    """Option to value, from what pip itself says that it uses: files and environment. None where it does not say."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIST_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_pip_settings(done.stdout) if done.returncode == 0 else None


def parse_pip_settings(listing: str) -> dict[str, str]:
    """Lines `section.option='value'`; values of several words or lines stay as they are."""
    found: dict[str, str] = {}
    for section in _SECTIONS:
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                found[key.removeprefix(f"{section}.").replace("_", "-")] = str(ast.literal_eval(value))
    return found


def uv_variables(settings: Mapping[str, str] | None, environment: Mapping[str, str]) -> dict[str, str] | None:
    """What uv has to be told to install from the same places, with the same trust, as pip with `settings`.

    None: uv must not be asked, because the settings are unknown or hold one that it cannot be told (no-index, hashes
    everywhere, a keyring, …). Where `environment` names sources for uv, those are somebody's own choice, and no source
    of pip's is added to them; other variables of `environment` win one by one.
    """
    if settings is None:
        return None
    unknown = set(settings) - _WITHOUT_EFFECT - set(_LISTS) - set(_SINGLE)
    if any(settings[option].lower() not in _OFF for option in unknown):
        return None
    told: dict[str, str] = {}
    for option, (name, separator) in _LISTS.items():
        if words := settings.get(option, "").split():
            told[name] = separator.join(words)
    for option, names in _SINGLE.items():
        if settings.get(option):
            told |= dict.fromkeys(names, settings[option])
    if bundle := environment.get("REQUESTS_CA_BUNDLE"):
        told.setdefault("SSL_CERT_FILE", bundle)
    if _OWN_SOURCES & set(environment):
        told = {name: value for name, value in told.items() if name not in _SOURCES}
    if "UV_INDEX" in told:
        # To pip all indexes are one; uv by default keeps to the first that knows the name.
        told["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in told.items() if name not in environment}


def main() -> None:
    variables = uv_variables(pip_settings(), os.environ)
    if variables is None:
        sys.exit("pip is configured in a way that uv cannot be told.")
    os.execvpe(sys.argv[1], sys.argv[1:], {**os.environ, **variables})


if __name__ == "__main__":
    main()
