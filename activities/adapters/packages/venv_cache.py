"""Virtual environments shared by everything that has the same requirements.

`python -m activities.adapters.packages.venv_cache --cache DIR [--python PROGRAM] FILE...` prints the ready environment.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout
from uv import find_uv_bin

from activities.adapters.packages.pip_settings import secrets_in
from activities.adapters.packages.registry_access import registry_trouble, settings_for_uv
from activities.adapters.packages.requirements_check import UnsafeRequirement, plain_lines
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded
from contracts.redaction import redacted

STAMP = ".ready"
_ASIDE = ".gone-"
BUILD_TIMEOUT_S = 900
# Installing a package must not run its code as the platform.
_WHEELS_ONLY = ("--only-binary", ":all:")


def ensure_venv(requirements: list[Path], cache_dir: Path, python: str) -> Path:
    """The environment `<cache_dir>/<hash>` with the packages in `requirements`; the first caller builds it.

    Blocks while another process builds the same one. If a build was killed, it starts again from nothing. Raises
    OrchestratorError PROCESS_FAILED with uv's output (transient if the registry could not be reached), or with a line
    of the requirements that is not a plain name with versions; SETTINGS_INVALID for a pip setting that uv does not
    have.
    """
    wanted = [_plain(file) for file in requirements]
    venv = cache_dir / _key(wanted, python)
    if _used_now(venv):
        return venv
    cache_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _lock(venv):
        if not _used_now(venv):
            shutil.rmtree(venv, ignore_errors=True)
            _build(venv, wanted, python)
            (venv / STAMP).touch()
    return venv


def prune_venvs(cache_dir: Path, before: float, in_use: set[Path]) -> list[str]:
    """Remove environments that nobody has asked for since `before` (a time in seconds), except those `in_use`; their
    names. One that is being built is left alone."""
    pruned = []
    for venv in sorted(cache_dir.glob("[!.]*/")):
        with suppress(Timeout), _lock(venv, timeout=0):
            if venv not in in_use and _last_used(venv) < before and _set_aside(venv, before):
                pruned.append(venv.name)
    for aside in cache_dir.glob(f"{_ASIDE}*"):
        shutil.rmtree(aside, ignore_errors=True)
    return pruned


def _lock(venv: Path, timeout: float = -1) -> FileLock:
    return FileLock(venv.with_suffix(".lock"), timeout, mode=0o600, fallback_to_soft=False)


def _used_now(venv: Path) -> bool:
    """Whether the environment is whole. Says so by the time of its mark, without a lock."""
    try:
        os.utime(venv / STAMP)
    except FileNotFoundError:
        return False
    return True


def _last_used(venv: Path) -> float:
    try:
        return (venv / STAMP).stat().st_mtime
    except FileNotFoundError:
        return venv.stat().st_mtime


def _set_aside(venv: Path, before: float) -> bool:
    """Rename, and look again: somebody may have asked for it in between, and gets it back."""
    aside = venv.with_name(f"{_ASIDE}{venv.name}")
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(venv, aside)
    if _last_used(aside) < before:
        return True
    os.rename(aside, venv)
    return False


def _plain(file: Path) -> list[str]:
    try:
        return plain_lines(file)
    except UnsafeRequirement as unsafe:
        reason = f"{file.name} may contain only package names with versions. Change this: {unsafe}"
        raise OrchestratorError(ErrorCode.PROCESS_FAILED, reason) from None


def _key(wanted: list[list[str]], python: str) -> str:
    files = ["".join(sorted(f"{line}\n" for line in lines)) + "\0" for lines in wanted]
    return hashlib.sha256("".join([f"{os.path.realpath(python)}\n", *files]).encode()).hexdigest()[:20]


def _build(venv: Path, wanted: list[list[str]], python: str) -> None:
    # Without pip an environment takes a tenth of a second; packages are installed into it from outside.
    _run([python, "-m", "venv", "--clear", "--without-pip", str(venv)], {}, "")
    lines = [line for lines in wanted for line in lines]
    if not lines:
        return
    variables = settings_for_uv()
    # Beside the environments: HOME may be missing, or another one for each deploy.
    variables["UV_CACHE_DIR"] = os.environ.get("UV_CACHE_DIR") or _own_uv_cache(venv.parent.with_name("uv"))
    # No settings from files: a project must not say where its packages come from. Copies: a service that changes its
    # environment changes no other.
    argv = [find_uv_bin(), "pip", "install", "--quiet", "--no-config", "--python", str(venv / "bin" / "python"),
            "--link-mode", "copy", "--compile-bytecode", *_WHEELS_ONLY, "-r", "-"]  # fmt: skip
    if any("--hash=" in line for line in lines):
        # As soon as one has a hash, all need one, also constraints; uv by itself lets the others pass.
        argv.append("--require-hashes")
        variables["UV_CONSTRAINT"] = ""
    _run(argv, variables, "\n".join(lines))


def _own_uv_cache(directory: Path) -> str:
    """For the platform alone: it has a lock, and whoever may open that can hold up every installation."""
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    return str(directory.absolute())


def _run(argv: list[str], variables: dict[str, str], text: str) -> None:
    environment = {**os.environ, **variables}
    try:
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, env=environment, timeout=BUILD_TIMEOUT_S, umask=0o022,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        reason = f"Building the Python environment took longer than {BUILD_TIMEOUT_S} s."
        raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason) from None
    if done.returncode != 0:
        kind = ErrorClass.TRANSIENT if registry_trouble(done.stderr) else ErrorClass.PERMANENT
        output = bounded(redacted(done.stderr, secrets_in(environment)).strip(), 1500)
        reason = f"The packages of the project cannot be installed.\n{output}".strip()
        raise OrchestratorError(ErrorCode.PROCESS_FAILED, reason, error_class=kind)


def main() -> None:
    parser = argparse.ArgumentParser(description="Print a virtual environment with the given requirements.")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("requirements", type=Path, nargs="*")
    chosen = parser.parse_args()
    try:
        sys.stdout.write(f"{ensure_venv(chosen.requirements, chosen.cache, chosen.python)}\n")
    except OrchestratorError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
