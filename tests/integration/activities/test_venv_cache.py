"""Environments of projects: uv builds them as pip is configured; no project says where packages come from."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from activities.adapters.packages.pip_settings import INSTALLER_VARIABLES
from tests.integration.activities.package_index import WHEEL, package_index, wheel

ROOT = Path(__file__).resolve().parents[3]
_PINS = "idna==3.20\n"


def _built(
    tmp_path: Path, requirements: str, environment: Mapping[str, str] = os.environ, **extra: str
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "requirements.txt").write_text(requirements)
    return subprocess.run(
        [sys.executable, "-m", "activities.adapters.packages.venv_cache", "--cache", "cache", "requirements.txt"],
        env={**environment, "PYTHONPATH": str(ROOT), **extra},
        cwd=tmp_path, capture_output=True, text=True, check=False,
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


def test_a_setting_that_uv_cannot_be_told_is_named(tmp_path: Path) -> None:
    done = _built(tmp_path, _PINS, PIP_GLOBAL_OPTION="x")
    assert done.returncode == 1
    assert "uv has no counterpart of pip's setting `global-option`" in done.stderr


def test_hashes_are_for_all_or_for_none(tmp_path: Path) -> None:
    """As pip has it; uv by itself would let one pass without. A constraint, which has none, does not count then."""
    locked = re.search(r"^idna==.*?(?=^\S)", (ROOT / "requirements.txt").read_text(), re.MULTILINE | re.DOTALL)
    assert locked is not None
    done = _built(tmp_path, f"{locked[0]}iniconfig\n")
    assert done.returncode == 1
    assert "In `--require-hashes` mode, all requirements must" in done.stderr
    constraint = tmp_path / "constraint.txt"
    constraint.write_text("idna>3\n")
    assert _installer(_built(tmp_path, locked[0], PIP_CONSTRAINT=str(constraint)), tmp_path).strip() == "uv"


def test_an_option_that_only_one_installer_would_see_is_seen_by_none(tmp_path: Path) -> None:
    done = _built(tmp_path, f"{_PINS.strip()} # x \\\n--index-url http://127.0.0.1:9/\n")
    assert _installer(done, tmp_path).strip() == "uv"
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "setup.py").write_text("open('ran', 'w').close()\n")
    done = _built(tmp_path, f"# note \\\n-e ./evil\n{_PINS}")
    assert done.returncode == 1
    assert "only package names with versions. Change this: -e ./evil" in done.stderr
    assert not list(tmp_path.rglob("ran"))


def test_packages_that_do_not_exist_are_refused_in_uv_s_words_and_leave_no_environment(tmp_path: Path) -> None:
    done = _built(tmp_path, "idna==0.0.0.1\n")
    assert done.returncode == 1
    assert "The packages of the project cannot be installed.\n" in done.stderr
    assert "there is no version of idna==0.0.0.1" in done.stderr
    assert not list((tmp_path / "cache").glob("*/.ready"))


def _from_index(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """With pip configured by files below `tmp_path` and by `variables`, and by nothing of this machine."""
    bare = {name: value for name, value in os.environ.items() if not name.upper().startswith(INSTALLER_VARIABLES)}
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_CONFIG_DIRS": str(tmp_path)}
    done = _built(tmp_path, "sample-pkg==1.0\n", bare, **home, **variables)
    if done.returncode == 0:
        shutil.rmtree(tmp_path / "cache")
        shutil.rmtree(tmp_path / "uv")
    return done


def test_an_index_of_the_user_s_pip_conf_is_where_packages_come_from(tmp_path: Path) -> None:
    with package_index() as index:
        (tmp_path / "config" / "pip").mkdir(parents=True)
        (tmp_path / "config" / "pip" / "pip.conf").write_text(f"[global]\nindex-url = {index.url}\n")
        done = _from_index(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "/simple/sample-pkg/" in index.seen


def test_a_password_comes_from_the_address_or_the_netrc_and_is_never_shown(tmp_path: Path) -> None:
    with package_index("geheim77") as index:
        refused = _from_index(tmp_path, PIP_INDEX_URL=index.url.replace("//", "//me:wrong-word@"))
        assert refused.returncode == 1
        assert "wrong-word" not in refused.stderr
        given = _from_index(tmp_path, PIP_INDEX_URL=index.url.replace("//", "//me:geheim77@"))
        assert given.returncode == 0, given.stderr
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password geheim77\n")
        found = _from_index(tmp_path, PIP_INDEX_URL=index.url)
        assert found.returncode == 0, found.stderr


def test_a_certificate_that_pip_trusts_is_trusted(tmp_path: Path) -> None:
    with package_index(certificate=tmp_path / "ca.pem") as index:
        refused = _from_index(tmp_path, PIP_INDEX_URL=index.url, PIP_RETRIES="0")
        assert refused.returncode == 1
        done = _from_index(tmp_path, PIP_INDEX_URL=index.url, PIP_CERT=str(tmp_path / "ca.pem"))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("setting", ["PIP_PROXY", "HTTP_PROXY"])
def test_packages_come_through_the_proxy(tmp_path: Path, setting: str) -> None:
    with package_index() as proxy:
        address = proxy.url.removesuffix("/simple")
        done = _from_index(tmp_path, PIP_INDEX_URL="http://index.invalid/simple", **{setting: address})
    assert done.returncode == 0, done.stderr
    assert "http://index.invalid/simple/sample-pkg/" in proxy.seen


def test_further_indexes_and_directories_of_wheels_are_asked_too(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / WHEEL).write_bytes(wheel())
    with package_index() as index:
        empty = index.url.replace("/simple", "/empty")
        assert _from_index(tmp_path, PIP_INDEX_URL=empty, PIP_EXTRA_INDEX_URL=index.url).returncode == 0
        assert _from_index(tmp_path, PIP_INDEX_URL=empty, PIP_FIND_LINKS=str(tmp_path / "wheels")).returncode == 0
        asked = len(index.seen)
        assert _from_index(tmp_path, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path / "wheels")).returncode == 0
        assert _from_index(tmp_path, PIP_NO_INDEX="1", PIP_INDEX_URL=index.url).returncode == 1
        assert len(index.seen) == asked
