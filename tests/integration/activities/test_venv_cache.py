"""Environments of projects: uv builds them, pip where uv cannot; no project says where packages come from."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_PINS = "idna==3.20\n"


def _built(tmp_path: Path, requirements: str, **extra: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "requirements.txt").write_text(requirements)
    return subprocess.run(
        [sys.executable, "-m", "activities.adapters.packages.venv_cache", "--cache", "cache", "requirements.txt"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **extra}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip


def _installer(done: subprocess.CompletedProcess[str], tmp_path: Path) -> str:
    assert done.returncode == 0, done.stderr
    venv = tmp_path / done.stdout.strip()
    program = "import idna.core, importlib.metadata as m; print(m.distribution('idna').read_text('INSTALLER'))"
    return subprocess.run([venv / "bin" / "python", "-c", program], capture_output=True, text=True, check=True).stdout


def test_uv_builds_it_with_bytecode_and_what_a_project_says_about_sources_is_not_heard(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.uv]\nno-index = true\n[tool.uv.pip]\nno-index = true\n")
    done = _built(tmp_path, _PINS)
    assert _installer(done, tmp_path).strip() == "uv"
    assert done.stderr == ""
    assert list((tmp_path / "cache").rglob("idna/__pycache__/core.*.pyc"))


def test_pip_builds_what_uv_cannot(tmp_path: Path) -> None:
    done = _built(tmp_path, _PINS, UV_HTTP_TIMEOUT="soon")
    assert _installer(done, tmp_path).strip() == "pip"


@pytest.mark.parametrize("setting", [{"PIP_KEYRING_PROVIDER": "subprocess"}, {"PIP_PRE": "1"}])
def test_pip_builds_what_uv_cannot_be_told(tmp_path: Path, setting: dict[str, str]) -> None:
    assert _installer(_built(tmp_path, _PINS, **setting), tmp_path).strip() == "pip"


def test_hashes_are_for_all_or_for_none(tmp_path: Path) -> None:
    """As pip has it; uv by itself would let one pass without."""
    locked = re.search(r"^idna==.*?(?=^\S)", (ROOT / "requirements.txt").read_text(), re.MULTILINE | re.DOTALL)
    assert locked is not None
    done = _built(tmp_path, f"{locked[0]}iniconfig\n")
    assert done.returncode == 1
    assert "In --require-hashes mode" in done.stderr
    assert _installer(_built(tmp_path, locked[0]), tmp_path).strip() in {"uv", "pip"}


def test_an_option_that_only_one_installer_would_see_is_seen_by_none(tmp_path: Path) -> None:
    done = _built(tmp_path, f"{_PINS.strip()} # x \\\n--index-url http://127.0.0.1:9/\n")
    assert _installer(done, tmp_path).strip() == "uv"
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "setup.py").write_text("open('ran', 'w').close()\n")
    done = _built(tmp_path, f"# note \\\n-e ./evil\n{_PINS}")
    assert done.returncode == 1
    assert "names and versions only; this is something else: -e ./evil" in done.stderr
    assert not list(tmp_path.rglob("ran"))


def test_packages_that_nobody_has_are_refused_in_pip_s_words_and_leave_no_environment(tmp_path: Path) -> None:
    done = _built(tmp_path, "idna==0.0.0.1\n")
    assert done.returncode == 1
    assert "The packages of the project cannot be installed.\n" in done.stderr
    assert "No matching distribution found for idna==0.0.0.1" in done.stderr
    assert not list((tmp_path / "cache").glob("*/.ready"))
