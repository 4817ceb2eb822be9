"""The rules around the tests: nothing skipped in CI, the lock names no host."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[3]


def _run(directory: Path, test: str, ci: str, *options: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "tests" / "conftest.py", directory)
    (directory / "test_planted.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(directory), *options]
    environment = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run([*command, str(directory)], env=environment, capture_output=True, text=True, check=False)


SKIPPED = "import pytest\n\n\ndef test_runs(): ...\n\n\n@pytest.mark.skip(reason='no part')\ndef test_skipped(): ...\n"


@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "1")], ids=["alone", "with xdist"])
def test_a_skipped_test_fails_in_ci_and_says_which(tmp_path: Path, options: tuple[str, ...]) -> None:
    run = _run(tmp_path, SKIPPED, "true", *options)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
    assert "skipped under CI=true" in run.stdout
    assert "test_planted.py::test_skipped" in run.stdout
    assert "1 passed, 1 skipped" in run.stdout


def test_a_skipped_test_is_allowed_outside_of_ci(tmp_path: Path) -> None:
    assert _run(tmp_path, SKIPPED, "").returncode == pytest.ExitCode.OK


def test_a_module_that_skips_itself_fails_in_ci(tmp_path: Path) -> None:
    run = _run(tmp_path, "import pytest\n\npytest.skip('no part', allow_module_level=True)\n", "true")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout


def test_a_green_run_stays_green_in_ci(tmp_path: Path) -> None:
    assert _run(tmp_path, "def test_runs(): ...\n", "true").returncode == pytest.ExitCode.OK


def _drawn(profile: str, seed: int) -> list[int]:
    """The first that a property draws under a profile of `tests/conftest.py` and `--hypothesis-seed`."""
    drawn: list[int] = []

    @settings(settings.get_profile(profile), max_examples=50)
    @given(number=st.integers())
    def draw(number: int) -> None:
        drawn.append(number)

    with pytest.MonkeyPatch.context() as option:
        option.setattr("hypothesis.core.global_force_seed", seed)
        draw()
    return drawn


def test_a_property_is_the_same_test_in_every_run_of_the_gate() -> None:
    assert settings.get_current_profile_name() == os.environ.get("HYPOTHESIS_PROFILE", "gate")
    assert _drawn("gate", seed=1) == _drawn("gate", seed=2)


def test_a_property_in_depth_is_another_test_under_another_seed() -> None:
    assert _drawn("deep", seed=1) == _drawn("deep", seed=1) != _drawn("deep", seed=2)
    assert settings.get_profile("deep").max_examples > 10 * settings.get_profile("gate").max_examples


def test_the_lock_is_hashed_and_names_no_host() -> None:
    lock = (ROOT / "requirements.txt").read_text()
    assert "://" not in lock
    assert "--index-url" not in lock
    for requirement in re.findall(r"^[a-z0-9].*$(?:\n    .*$)*", lock, flags=re.MULTILINE):
        assert "--hash=sha256:" in requirement, requirement


def test_the_lock_has_every_direct_dependency() -> None:
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE))
    project = (ROOT / "pyproject.toml").read_text()
    listed = re.findall(r'^  "([a-z0-9._-]+)[^"]*",$', project.partition("[project.scripts]")[0], flags=re.MULTILINE)
    assert len(listed) > 30
    assert set(listed) <= locked, "run: make lock"


def _make(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_make_help_lists_every_target_of_the_contract() -> None:
    shown = _make(ROOT, "--no-print-directory", "help").stdout
    listed = {line.split()[0] for line in shown.splitlines() if line.strip()}
    wanted = "help demo up down check fmt bench test soak test-unit test-contracts test-workflow test-replay"
    assert (
        set(f"{wanted} test-integration test-platform test-e2e test-chaos test-deep test-deep-status".split()) <= listed
    )


def test_an_old_python_is_named_with_what_to_do(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python-old"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n')
    old.chmod(0o755)
    run = _make(tmp_path, "install", f"PYTHON={old}")
    assert run.returncode != 0
    assert "needs Python 3.11 or newer" in run.stderr
    assert "Python 3.9.2" in run.stderr
    assert "PYTHON=python3.12" in run.stderr
