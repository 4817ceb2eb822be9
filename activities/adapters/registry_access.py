"""How this machine reaches package registries, for builds elsewhere: index, proxies, the certificates it trusts.

A build's Dockerfile copies the directory `.registry` of its context, if there is one. It holds `pip.conf` and
`ca.crt`. Both may be there or not, and what is local to this machine (files, directories) stays out.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FOLDER = ".registry"
CERTIFICATE = "/build/ca.crt"
_PASSED_ON = ("index-url", "extra-index-url", "trusted-host", "default-timeout", "timeout", "retries", "proxy")
_CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def registry_files() -> dict[str, str]:
    """Name (below the build context) to content; empty where pip has nothing special to know."""
    return registry_files_of(pip_settings(), os.environ)


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


@cache
def pip_settings() -> dict[str, str]:
    """What pip itself says that it uses, files and environment together; nothing where there is no pip."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, timeout=60, check=False
    )
    return parse_pip_settings(done.stdout) if done.returncode == 0 else {}


def parse_pip_settings(text: str) -> dict[str, str]:
    """Lines such as `global.index-url='…'`; the environment (`:env:`) is said last by nobody but wins."""
    found = [line.partition("=") for line in text.splitlines() if "=" in line]
    pairs = [(*name.rpartition(".")[::2], value.strip("'\"")) for name, _, value in found]
    ordered = sorted(pairs, key=lambda pair: pair[0] == ":env:")
    return {name: value for _, name, value in ordered}


def _remote(value: str) -> str:
    """Without what only this machine has."""
    parts = value.replace("\\n", " ").split()
    return " ".join(part for part in parts if not part.startswith(("file:", "/", ".")))
