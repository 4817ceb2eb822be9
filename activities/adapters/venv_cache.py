"""Virtual environments shared by everything that has the same requirements.

`python -m activities.adapters.venv_cache --cache DIR [--python PROGRAM] FILE...` prints the ready environment.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded

STAMP = ".ready"
BUILD_TIMEOUT_S = 900
_REGISTRY_TROUBLE = ("ConnectionError", "timed out", "Temporary failure in name resolution", "Connection refused")


def ensure_venv(requirements: list[Path], cache_dir: Path, python: str) -> Path:
    """The environment `<cache_dir>/<hash>` with what `requirements` list, built once by whoever comes first.

    Blocks while another process builds the same one. A build that was killed is made again from nothing. Raises
    OrchestratorError PROCESS_FAILED with the installer's output; transient when the registry was not reachable.
    """
    venv = cache_dir / _key(requirements, python)
    if (venv / STAMP).exists():
        return venv
    cache_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _lock(venv.with_suffix(".lock")):
        if not (venv / STAMP).exists():
            shutil.rmtree(venv, ignore_errors=True)
            _build(venv, requirements, python)
            (venv / STAMP).touch()
    return venv


def _key(requirements: list[Path], python: str) -> str:
    digest = hashlib.sha256(f"{os.path.realpath(python)}\n".encode())
    for file in requirements:
        digest.update(b"".join(sorted(line + b"\n" for line in _packages(file))))
        digest.update(b"\0")
    return digest.hexdigest()[:20]


def _packages(file: Path) -> list[bytes]:
    lines = (line.strip() for line in file.read_bytes().splitlines())
    return [line for line in lines if line and not line.startswith(b"#")]


def _build(venv: Path, requirements: list[Path], python: str) -> None:
    wanted = [file for file in requirements if _packages(file)]
    # Without pip an environment takes a tenth of a second; pip installs into it from outside.
    _run([python, "-m", "venv", "--without-pip", str(venv)])
    if not wanted:
        return
    # Wheels only: installing a package must not run its code as the platform.
    options = [argument for file in wanted for argument in ("-r", str(file))]
    _run([python, "-m", "pip", "--python", str(venv / "bin" / "python"), "install", "--quiet",
          "--disable-pip-version-check", "--only-binary", ":all:", *options])  # fmt: skip


def _run(argv: list[str]) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise _failed("Building the environment took too long.", "", ErrorClass.TRANSIENT) from None
    if done.returncode != 0:
        trouble = any(word in done.stderr for word in _REGISTRY_TROUBLE)
        kind = ErrorClass.TRANSIENT if trouble else ErrorClass.PERMANENT
        raise _failed("The packages of the project cannot be installed.", done.stderr, kind)


def _failed(message: str, output: str, kind: ErrorClass) -> OrchestratorError:
    text = f"{message}\n{bounded(output.strip(), 1500)}" if output else message
    return OrchestratorError(ErrorCode.PROCESS_FAILED, text, error_class=kind)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description="Print a virtual environment with the given requirements.")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("requirements", type=Path, nargs="*")
    chosen = parser.parse_args()
    try:
        venv = ensure_venv(chosen.requirements, chosen.cache, chosen.python)
    except OrchestratorError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    sys.stdout.write(f"{venv}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
