"""The image of the agent of new work is built beside the work, and people see whether it is there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import Queue
from contracts.states import AgentKind
from runtime.runtime_report import RuntimeReport
from runtime.settings import Settings
from workers.__main__ import _prepare_agent
from workers.local import Choice


@dataclass
class Runtime:
    """Notes for which agents it was asked, and what people were told meanwhile."""

    settings: Settings
    error: OrchestratorError | None = None
    asked: list[AgentKind] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)

    async def prepare_agent(self, kind: AgentKind) -> None:
        self.asked.append(kind)
        self.told = shown(self.settings)
        if self.error is not None:
            raise self.error


def shown(settings: Settings) -> dict[str, str]:
    report = RuntimeReport.read(settings.runtime_report_file)
    return report.agent_images if report is not None else {}


async def prepared(runtime: Runtime, *queues: str, in_containers: bool = True) -> None:
    ports = cast(Any, SimpleNamespace(runtime=runtime))
    before = asyncio.create_task(asyncio.sleep(0))
    await _prepare_agent(runtime.settings, ports, list(queues), Choice(in_containers, "because"), before)


async def test_it_is_said_to_be_built_and_then_to_be_there(tmp_path: Path) -> None:
    runtime = Runtime(Settings(home=tmp_path, agent=AgentKind.CODEX))
    await prepared(runtime, Queue.AGENTS)
    assert (runtime.asked, runtime.told) == ([AgentKind.CODEX], {"codex": "its image is being built"})
    assert shown(runtime.settings) == {"codex": "its image is there"}


async def test_one_that_cannot_be_had_now_stops_nothing_and_is_said(tmp_path: Path) -> None:
    away = OrchestratorError.transient(ErrorCode.PROCESS_FAILED, "The registry is away.")
    runtime = Runtime(Settings(home=tmp_path, agent=AgentKind.CODEX), away)
    await prepared(runtime, Queue.AGENTS)
    assert shown(runtime.settings) == {"codex": "its image is missing: The registry is away."}


@pytest.mark.parametrize(
    ("agent", "queue", "in_containers"),
    [
        (AgentKind.SCRIPTED, Queue.AGENTS, True),
        (AgentKind.CODEX, Queue.INFRA, True),
        (AgentKind.CODEX, Queue.AGENTS, False),
    ],
)
async def test_where_no_agent_needs_an_image_none_is_built(
    tmp_path: Path, agent: AgentKind, queue: str, in_containers: bool
) -> None:
    runtime = Runtime(Settings(home=tmp_path, agent=agent))
    await prepared(runtime, queue, in_containers=in_containers)
    assert runtime.asked == []
