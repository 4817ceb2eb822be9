"""A platform's addresses: remembered once they work, and not changed while it runs."""

import json
import os
import socket
from pathlib import Path

import pytest

from cli.__main__ import run
from cli.client.home import effective_settings, remember
from cli.host.parts import Parts
from tests.support.stack import free_ports


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ORCHESTRATOR_API_URL", "ORCHESTRATOR_API_PORT", "TEMPORAL_ADDRESS", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def running(part: str) -> Parts:
    """A home in which a part runs at its remembered addresses: a record with a live process is all that says so."""
    settings = effective_settings(free_ports(3))
    remember(settings, ("api_port", "ui_port", "temporal_port"))
    parts = Parts(settings)
    parts.book.write(part, os.getpid())
    return parts


@pytest.mark.parametrize("part", ["api", "temporal"])
def test_port_base_on_a_running_platform_changes_nothing_and_says_so(
    part: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = running(part)
    before = (home / "processes" / "endpoints.json").read_text()
    other = free_ports(3)
    assert run(["up", "--detach", "--port-base", str(other)]) == 5
    said = capsys.readouterr().err
    assert f"{part}_port {getattr(parts.settings, f'{part}_port')}" in said
    assert "Nothing was changed" in said
    assert "down`" in said
    assert (home / "processes" / "endpoints.json").read_text() == before
    assert effective_settings().api_port == parts.settings.api_port


def test_another_port_in_the_environment_is_said_too(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running("api")
    monkeypatch.setenv("ORCHESTRATOR_API_PORT", str(free_ports(1)))
    assert run(["up", "--detach", "--json"]) == 5
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["code"] == "CONFLICT"


def test_an_address_that_never_worked_is_not_remembered(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = effective_settings().api_port
    base = free_ports(3)
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", base))
        foreign.listen()
        assert run(["up", "--detach", "--port-base", str(base)]) == 5
    assert str(base) in capsys.readouterr().err
    assert effective_settings().api_port == before


def test_what_is_remembered_of_one_part_leaves_the_others(home: Path) -> None:
    remember(effective_settings(21_000), ("temporal_port", "ui_port"))
    remember(effective_settings(22_000), ("api_port",))
    found = effective_settings()
    assert (found.api_port, found.ui_port, found.temporal_port) == (22_000, 21_001, 21_002)
