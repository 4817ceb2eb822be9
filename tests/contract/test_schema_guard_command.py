"""The guard as `make check` runs it, on a copy of the source in which a model was really changed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TITLE = "    title: str | None = Field(default=None, max_length=200)\n    spec: ProjectSpec | None = None\n    spec_ref"
"""The first lines of EngineeringMessage's optional fields; DeliveryMessage has the same title but no spec_ref."""


@pytest.fixture
def copy_of_the_contracts(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def _run(directory: Path, *options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "contracts.schema_export", *options]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def _change(directory: Path, old: str, new: str) -> None:
    path = directory / "contracts" / "departments.py"
    source = path.read_text()
    assert source.count(old) == 1
    path.write_text(source.replace(old, new))


def test_the_source_as_it_is_passes(copy_of_the_contracts: Path) -> None:
    assert _run(copy_of_the_contracts, "--check") == (0, "")
    assert _run(copy_of_the_contracts, "--compat") == (0, "")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        pytest.param(
            "    spec: ProjectSpec | None = None\n    spec_ref",
            "EngineeringMessage.title: the field disappeared",
            marks=pytest.mark.deep,
        ),
        pytest.param(
            TITLE.replace("str | None = Field(default=None, max", "str = Field(max"),
            "title: the field became required",
            marks=pytest.mark.deep,
        ),
        pytest.param(
            TITLE.replace("str | None = Field(default=None, max_length=200)", "int | None = None"),
            "the type changed",
            marks=pytest.mark.deep,
        ),
        (TITLE.replace("200", "20"), "title: the limit maxLength tightened from 200 to 20"),
    ],
    ids=["removed", "required", "another type", "tighter"],
)
def test_a_changed_model_is_red_also_after_regenerating(changed: str, named: str, copy_of_the_contracts: Path) -> None:
    _change(copy_of_the_contracts, TITLE, changed)
    assert _run(copy_of_the_contracts, "--check")[0] == 1
    assert _run(copy_of_the_contracts, "--write")[0] == 0
    assert _run(copy_of_the_contracts, "--check")[0] == 0
    status, output = _run(copy_of_the_contracts, "--compat")
    assert status == 1
    assert named in output
    assert "docs/contracts.md" in output
    assert _run(copy_of_the_contracts, "--release")[0] == 1


def test_a_new_optional_field_passes_and_can_be_released(copy_of_the_contracts: Path) -> None:
    _change(copy_of_the_contracts, TITLE, "    colour: str | None = None\n" + TITLE)
    assert _run(copy_of_the_contracts, "--compat") == (0, "")
    assert _run(copy_of_the_contracts, "--release") == (0, "")
    released = copy_of_the_contracts / "contracts" / "schemas" / "released" / "departments.json"
    assert '"colour"' in released.read_text()
