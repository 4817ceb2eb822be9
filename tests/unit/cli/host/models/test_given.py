"""A key that is given to a platform which runs without it reaches the parts that need it, and no other part."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cli.host.models.given import hand_over
from cli.host.parts import Parts
from cli.host.processes import Command
from cli.terminal.output import Output
from runtime.settings import load_settings

_SLEEP = ("-c", "import time; time.sleep(600)")
OLD, NEW = "sk-ant-the-old-key", "sk-ant-the-new-key"


@dataclass
class Running:
    """Processes under the names of parts, with the variables that they were started with."""

    home: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def parts(self) -> Parts:
        return Parts(load_settings())

    def start(self, name: str, *arguments: str, **variables: str) -> None:
        argv = [sys.executable, *_SLEEP, *arguments]
        command = Command(argv, {"PATH": os.environ["PATH"], **variables}, self.home)
        process = self.parts.book.launch(name, command)
        self.started.append(process)
        self.parts.book.write(name, process.pid, command)

    def start_all(self, key: str | None, *, agent: str = "scripted", background: bool = True) -> None:
        given = {"ANTHROPIC_API_KEY": key} if key else {}
        self.start("api", ORCHESTRATOR_AGENT=agent)
        self.start("workers")
        if key:
            self.start("model-proxy", **given)
        self.start("supervisor", *(["cli.host.supervision"] if background else []), **given)

    @property
    def alive(self) -> list[str]:
        return [name for name in ("api", "workers", "model-proxy", "supervisor") if self.parts.book.record(name)]


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "ORCHESTRATOR_AGENT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    found = Running(tmp_path)
    yield found
    for process in found.started:
        process.kill()
        process.wait()


async def test_the_first_key_of_a_platform_reaches_proxy_api_and_supervisor(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was given to the proxy alone: new work went on with the script, and a proxy that ended stayed away."""
    running.start_all(None)
    monkeypatch.setenv("ANTHROPIC_API_KEY", NEW)
    assert await hand_over(running.parts, Output(as_json=True)) is True
    assert running.alive == ["workers"]


async def test_what_is_known_already_changes_nothing(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    running.start_all(OLD, agent="claude-code")
    monkeypatch.setenv("ANTHROPIC_API_KEY", OLD)
    assert await hand_over(running.parts, Output(as_json=True)) is False
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert await hand_over(running.parts, Output(as_json=True)) is False, "a command without a key takes none away"
    assert running.alive == ["api", "workers", "model-proxy", "supervisor"]


async def test_another_key_replaces_the_old_one_and_keeps_the_agent(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.start_all(OLD, agent="opencode")
    monkeypatch.setenv("ANTHROPIC_API_KEY", NEW)
    assert await hand_over(running.parts, Output(as_json=True)) is True
    assert running.alive == ["api", "workers"], "somebody has chosen opencode"
    proxy = running.parts.command("model-proxy").env
    assert (proxy["ANTHROPIC_API_KEY"], OLD in proxy.values()) == (NEW, False)


async def test_a_key_for_a_second_vendor_does_not_cost_the_first(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.start_all(OLD, agent="claude-code")
    monkeypatch.setenv("OPENAI_API_KEY", NEW)
    # What is carried over goes with the test.
    monkeypatch.setenv("ANTHROPIC_API_KEY", "")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert await hand_over(running.parts, Output(as_json=True)) is True
    proxy = running.parts.command("model-proxy").env
    assert (proxy["ANTHROPIC_API_KEY"], proxy["OPENAI_API_KEY"]) == (OLD, NEW)


async def test_a_platform_in_another_terminal_is_left_to_whoever_started_it(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running.start_all(None, background=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", NEW)
    assert await hand_over(running.parts, Output(as_json=False)) is False
    assert "supervisor" in running.alive
    said = capsys.readouterr().out
    assert "in another terminal" in said
    assert NEW not in said
