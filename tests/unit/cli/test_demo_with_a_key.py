"""`demo` with a key: a real agent, or a clear stop; never the script in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from cli.demo.demo import _agent, _run, _say_who_works
from cli.terminal.output import Output
from contracts.errors import ErrorCode, OrchestratorError
from contracts.project_settings import SettingDTO
from contracts.states import AgentKind
from runtime.api_client import ApiClient
from runtime.settings import load_settings


class Api:
    """An API whose setting `agent` is this."""

    def __init__(self, agent: str, source: str) -> None:
        self.agent, self.source = agent, source

    async def settings(self) -> list[SettingDTO]:
        told: dict[str, Any] = {"value": self.agent, "source": self.source}
        return [SettingDTO(name="agent", description="", in_use=True, **told)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-made-up")
    return tmp_path / "home"


async def chosen(agent: str, source: str) -> AgentKind:
    return await _agent(cast(ApiClient, Api(agent, source)), load_settings())


@pytest.mark.parametrize("way", ["no engine answers", "processes are asked for"])
@pytest.mark.parametrize("language", [None, "en"])
async def test_without_containers_it_stops_before_anything_is_started(
    home: Path, monkeypatch: pytest.MonkeyPatch, way: str, language: str | None
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{home}.sock")
    if way == "processes are asked for":
        monkeypatch.setenv("ORCHESTRATOR_RUNTIME", "process")
    with pytest.raises(OrchestratorError) as refused:
        await _run(load_settings(), "Notes", Output(as_json=True), language)
    assert refused.value.code is ErrorCode.CONTAINERS_NEEDED
    assert "DOCKER=install make demo" in refused.value.message
    assert not home.exists()


async def test_a_platform_that_began_without_the_key_still_gets_the_real_agent() -> None:
    """Its API said "scripted", which was only its default, and the script built the wish."""
    assert await chosen("scripted", "default") is AgentKind.CLAUDE_CODE


async def test_what_a_person_has_chosen_counts_more_and_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert await chosen("opencode", "installation") is AgentKind.OPENCODE
    assert await chosen("scripted", "installation") is AgentKind.SCRIPTED
    _say_who_works(AgentKind.SCRIPTED, load_settings(), Output(as_json=False))
    assert "You gave a key for models, but the script was chosen" in capsys.readouterr().out


async def test_an_agent_that_is_named_here_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_AGENT", "factory-droid")
    assert await chosen("opencode", "installation") is AgentKind.FACTORY_DROID


async def test_without_a_key_it_is_what_the_installation_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert await chosen("scripted", "default") is AgentKind.SCRIPTED
