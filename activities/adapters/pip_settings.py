"""How pip is configured on this machine, and the same for uv, which reads none of it and is ten times faster.

`python activities/adapters/pip_settings.py PROGRAM ARGUMENT...` becomes that program, with uv's variables set. Nothing
but the standard library: `make install` runs it before there are packages.
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
    "no-index": ("UV_NO_INDEX",),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "retries": ("UV_HTTP_RETRIES",),
}


def pip_settings() -> dict[str, str]:
    """Option to value, from what pip itself says that it uses: files and environment. Nothing where there is no pip."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIST_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        # A machine without breath: the installation that follows shows whether the settings are missed.
        return {}
    return parse_pip_settings(done.stdout) if done.returncode == 0 else {}


def parse_pip_settings(listing: str) -> dict[str, str]:
    """Lines `section.option='value'`; values of several words or lines stay as they are."""
    found: dict[str, str] = {}
    for section in _SECTIONS:
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                found[key.removeprefix(f"{section}.").replace("_", "-")] = str(ast.literal_eval(value))
    return found


def uv_variables(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """What uv has to be told to install from the same places, with the same trust, as pip with `settings`.

    Variables for uv that are in `environment` are somebody's own choice and win. uv has no counterpart of pip's
    keyring; an index that wants one is pip's.
    """
    told: dict[str, str] = {}
    for option, (name, separator) in _LISTS.items():
        if words := settings.get(option, "").split():
            told[name] = separator.join(words)
    for option, names in _SINGLE.items():
        if settings.get(option):
            told |= dict.fromkeys(names, settings[option])
    if bundle := environment.get("REQUESTS_CA_BUNDLE"):
        told.setdefault("SSL_CERT_FILE", bundle)
    if "UV_INDEX" in told:
        # To pip all indexes are one; uv by default keeps to the first that knows the name.
        told["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in told.items() if name not in environment}


def main() -> None:
    os.execvpe(sys.argv[1], sys.argv[1:], {**os.environ, **uv_variables(pip_settings(), os.environ)})


if __name__ == "__main__":
    main()
