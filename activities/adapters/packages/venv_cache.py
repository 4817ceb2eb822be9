"""Virtual environments shared by everything that has the same requirements.

`python -m activities.adapters.packages.venv_cache --cache DIR [--python PROGRAM] FILE...` prints the ready environment.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uv import find_uv_bin

from activities.adapters.packages.pip_settings import pip_settings, uv_variables
from activities.adapters.packages.requirements_check import UnsafeRequirement, plain_lines
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded

STAMP = ".ready"
BUILD_TIMEOUT_S = 900
_UV_TIMEOUT_S = 300
# Installing a package must not run its code as the platform.
_WHEELS_ONLY = ("--only-binary", ":all:")
_REGISTRY_TROUBLE = ("ConnectionError", "timed out", "Temporary failure in name resolution", "Connection refused")


def ensure_venv(requirements: list[Path], cache_dir: Path, python: str) -> Path:
    """The environment `<cache_dir>/<hash>` with what `requirements` list, built once by whoever comes first.

    Blocks while another process builds the same one. A build that was killed is made again from nothing. Raises
    OrchestratorError PROCESS_FAILED with the installer's output, transient when the registry was not reachable; or with
    the line that is more than a name with versions.
    """
    wanted = [_plain(file) for file in requirements]
    venv = cache_dir / _key(wanted, python)
    if (venv / STAMP).exists():
        return venv
    cache_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _lock(venv.with_suffix(".lock")):
        if not (venv / STAMP).exists():
            shutil.rmtree(venv, ignore_errors=True)
            _build(venv, wanted, python)
            (venv / STAMP).touch()
    return venv


def _plain(file: Path) -> list[str]:
    try:
        return plain_lines(file)
    except UnsafeRequirement as unsafe:
        reason = f"{file.name} may hold package names and versions only; this is something else: {unsafe}"
        raise _failed(reason, "", ErrorClass.PERMANENT) from None


def _key(wanted: list[list[str]], python: str) -> str:
    digest = hashlib.sha256(f"{os.path.realpath(python)}\n".encode())
    for lines in wanted:
        digest.update("".join(sorted(f"{line}\n" for line in lines)).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:20]


def _build(venv: Path, wanted: list[list[str]], python: str) -> None:
    _empty(venv, python)
    lines = [line for lines in wanted for line in lines]
    if not lines:
        return
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory) / f"requirements-{number}.txt" for number in range(len(wanted))]
        for file, content in zip(files, wanted, strict=True):
            file.write_text("".join(f"{line}\n" for line in content))
        options = [*_WHEELS_ONLY, *(argument for file in files for argument in ("-r", str(file)))]
        if any("--hash=" in line for line in lines):
            # pip insists by itself as soon as one has a hash.
            options.append("--require-hashes")
        if not _uv_can(venv, options):
            _empty(venv, python)
            _run([python, "-m", "pip", "--python", _python_of(venv), "install", "--quiet",
                  "--disable-pip-version-check", *options])  # fmt: skip


def _empty(venv: Path, python: str) -> None:
    # Without pip an environment takes a tenth of a second; packages are installed into it from outside.
    _run([python, "-m", "venv", "--clear", "--without-pip", str(venv)])


def _uv_can(venv: Path, options: list[str]) -> bool:
    """Whether uv has installed it, with pip's settings. What it cannot do, pip does, in its own time and words."""
    variables = uv_variables(pip_settings(), os.environ)
    if variables is None:
        return False
    # Beside the environments: HOME may be missing, or another one for each deploy.
    environment = {"UV_CACHE_DIR": str(venv.parent.with_name("uv").absolute()), **os.environ, **variables}
    try:
        # No settings from files: a project must not say where its packages come from. Copies: a service that changes
        # its environment changes nobody else's.
        argv = [find_uv_bin(), "pip", "install", "--quiet", "--no-config", "--python", _python_of(venv),
                "--link-mode", "copy", "--compile-bytecode", *options]  # fmt: skip
        done = subprocess.run(
            argv, capture_output=True, env=environment, timeout=_UV_TIMEOUT_S, umask=0o022, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    # What uv says is not passed on: it may quote an index with its password, and pip's words are those that count.
    return done.returncode == 0


def _python_of(venv: Path) -> str:
    return str(venv / "bin" / "python")


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
