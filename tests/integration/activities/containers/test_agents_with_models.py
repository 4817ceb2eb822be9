"""A real agent in its container, driven by the platform's runtime, with a scripted model where the proxy listens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from activities.adapters.agents.claude_code import CLAUDE_CODE
from activities.adapters.agents.wrapped import WrappedAgent
from activities.adapters.containers.agent import DockerAgentRuntime
from activities.adapters.containers.engine import Bind
from activities.ports import Follow
from contracts.agent_workers import TurnOutcome
from contracts.ids import turn_name
from contracts.models import ModelLimit, ModelTurn
from contracts.progress import FineEvent
from contracts.states import AgentKind
from emulators.model.model import Model
from emulators.model.server import serving
from tests.support.services.runtimes import Bench, DockerRuntime, docker, working

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(600)]
TOKEN = "omt-0123456789abcdef0123456789abcdef"


@dataclass
class Real:
    """An agent worker whose turns are those of a real agent."""

    bench: Bench
    model: Model
    runtime: DockerAgentRuntime
    facts: dict[str, str | float]

    async def turn(
        self, message: str, turn: int = 1, refused: ModelLimit | None = None, **fields: object
    ) -> TurnOutcome:
        request = self.bench.request({}, turn=turn, agent=AgentKind.CLAUDE_CODE, message=message, **fields)
        follow = Follow(0, self._report, self.facts)
        return await self.runtime.run_turn(request, follow, ModelTurn(token=TOKEN, refused=refused))

    async def _report(self, events: list[FineEvent], offset: int) -> None:
        self.bench.events += events

    async def transcript(self, outcome: TurnOutcome) -> str:
        assert outcome.transcript is not None
        return (await self.bench.artifacts.read(outcome.transcript)).decode()


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with working(tmp_path, "docker") as bench:
        assert isinstance(bench.runtime, DockerRuntime)
        sockets, model = tmp_path / "model", Model()
        sockets.mkdir()
        runtime = DockerAgentRuntime(
            bench.runtime.runs(), bench.runtime.images(), [WrappedAgent(CLAUDE_CODE)], bench.artifacts,
            restore=bench.runtime.workspaces().restore, model_place=Bind(str(sockets), "/model", host_path=True),
        )  # fmt: skip
        async with serving(model, socket=sockets / "proxy.sock"):
            await bench.prepare()
            yield Real(bench, model, runtime, {})


async def test_a_turn_works_commits_and_says_so_and_the_next_one_goes_on(real: Real) -> None:
    done = "[model:write hello.txt Hello][model:commit Hello][model:run orchestrator report --done 'It is there.']"
    first = await real.turn(done)
    assert (first.status, first.summary, first.agent) == ("done", "It is there.", AgentKind.CLAUDE_CODE), first
    assert real.facts["container"] == turn_name(real.bench.worker, 1)
    assert real.facts["session"] == first.session_id
    docker("rm", "--force", turn_name(real.bench.worker, 1))
    asked = await real.turn(
        "[model:run git log --oneline][model:ask Which?|This|That]", turn=2, session_id=first.session_id
    )
    assert (asked.status, asked.question, asked.choices) == ("question", "Which?", ["This", "That"]), asked
    assert (asked.session_id, asked.fresh_context) == (first.session_id, False)


async def test_the_token_stands_in_no_record_and_nothing_but_the_model_is_reached(real: Real) -> None:
    look = "env | grep -c omt-; cat /proc/*/cmdline | tr '\\0' ' '; ls /sys/class/net"
    outcome = await real.turn(f"[model:run {look}][model:run env]")
    record = docker("inspect", turn_name(real.bench.worker, 1))
    assert json.loads(record)[0]["HostConfig"]["NetworkMode"] == "none"
    transcript = await real.transcript(outcome)
    assert "ANTHROPIC_API_KEY=[hidden]" in transcript, "it is there, for the agent only"
    for place in (record, transcript, *real.bench.said):
        assert TOKEN not in place
    assert "[model:" not in record, "a prompt is no argument"
    assert {one.key for one in real.model.records.requests} == {TOKEN}


async def test_a_session_that_is_gone_is_begun_anew_and_said(real: Real) -> None:
    outcome = await real.turn("[model:say Hi]", session_id="33333333-1111-4111-8111-111111111111")
    assert (outcome.status, outcome.fresh_context) == ("done", True), outcome
    assert outcome.session_id != "33333333-1111-4111-8111-111111111111"


async def test_a_turn_that_is_refused_starts_no_container(real: Real) -> None:
    limit = ModelLimit(kind="budget", message="Nothing is left.")
    outcome = await real.turn("[model:say Hi]", refused=limit)
    assert (outcome.status, outcome.limit, outcome.summary) == ("failed", limit, "Nothing is left.")
    assert turn_name(real.bench.worker, 1) not in docker("ps", "--all", "--format", "{{.Names}}")


async def test_a_turn_that_has_begun_is_followed_even_if_it_is_refused_now(real: Real) -> None:
    first = await real.turn("[model:say Hi]")
    again = await real.turn("[model:say Hi]", refused=ModelLimit(kind="budget"))
    assert (again.status, again.session_id, again.limit) == ("done", first.session_id, None)
