"""A systemd unit for this program and this home, whatever their paths are."""

import shlex
from pathlib import Path

import pytest

from cli.__main__ import run
from cli.host.boot_unit import unit_for
from runtime.settings import Settings


def values(unit: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{key}=")]


@pytest.mark.parametrize("name", ["home", "a home", 'quo"te', "100%"])
def test_the_unit_names_the_program_and_the_home(name: str, tmp_path: Path) -> None:
    home = tmp_path / name
    unit = unit_for(Settings(home=home))
    [environment] = values(unit, "Environment")
    # Systemd reads quotes and backslashes as a shell does, and takes `%%` for `%`.
    assert f"ORCHESTRATOR_HOME={home}" in [word.replace("%%", "%") for word in shlex.split(environment)]
    [program] = values(unit, "ExecStart")
    assert Path(shlex.split(program)[0].replace("%%", "%")).exists()
    assert shlex.split(program)[-1] == "up"
    # Deployed services are no part of the platform's life.
    assert values(unit, "KillMode") == ["process"]


def test_the_command_prints_the_unit_and_nothing_else_into_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    monkeypatch.delenv("ORCHESTRATOR_API_URL", raising=False)
    assert run(["boot-unit"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("[Unit]\n")
    assert said.endswith("WantedBy=multi-user.target\n")
