"""What a turn is told while it runs, and what is left of one that was stopped, wherever agents work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from activities.ports import AgentRuntime
from contracts.ids import turn_name
from contracts.states import AgentKind
from contracts.worker_steps import TurnControl, TurnLeft
from tests.support.eventually import eventually
from tests.support.patience import within
from tests.support.services.runtimes import Bench, DockerRuntime, docker, working

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.deep)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with working(tmp_path, request.param) as one:
        yield one


@pytest.fixture
async def containers(tmp_path: Path) -> AsyncIterator[Bench]:
    async with working(tmp_path, "docker") as one:
        yield one


def attentive(bench: Bench) -> AgentRuntime:
    """The runtime, with an agent that looks for what it is told."""
    runtime: Any = bench.runtime.agent()
    runtime._clis = {kind: replace(cli, takes_controls=True) for kind, cli in runtime._clis.items()}
    attentive: AgentRuntime = runtime
    return attentive


def control(bench: Bench, number: int, text: str) -> TurnControl:
    return TurnControl(worker_id=bench.worker, turn=1, agent=AgentKind.SCRIPTED, number=number, kind="steer", text=text)


async def test_a_running_turn_finds_what_it_is_told_in_its_home_and_a_repeat_changes_nothing(bench: Bench) -> None:
    await bench.prepare_folder()
    place = f"$HOME/control/{turn_name(bench.worker, 1)}"
    waits = f"until test -s {place}/002.json; do sleep 0.05; done; cat {place}/*"
    turn = asyncio.ensure_future(bench.turn({"says": "I wait", "runs": [waits]}))
    await eventually(lambda: "I wait" in bench.said, timeout=60)
    runtime = attentive(bench)
    for number, text in ((1, "use tabs"), (1, "use tabs"), (2, "and \0 spaces")):
        assert await runtime.control_turn(control(bench, number, text))
    assert (await within(turn, 60)).status == "done"
    said = bench.said[-1].removeprefix("0: ")
    assert said == json.dumps({"kind": "steer", "text": "use tabs"}) + json.dumps(
        {"kind": "steer", "text": "and  spaces"}
    )


async def test_a_turn_that_was_stopped_leaves_its_session_and_its_transcript(bench: Bench) -> None:
    await bench.prepare_folder()
    request = bench.request({"says": "I hang", "hangs": True})
    turn = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow()))
    await eventually(lambda: "I hang" in bench.said, timeout=60)
    await bench.runtime.agent().stop_turn(request)
    await asyncio.wait({turn})
    left = await bench.runtime.agent().left_by(request)
    assert left.session_id == "session-1"
    assert left.transcript is not None
    assert b"I hang" in await bench.artifacts.read(left.transcript)
    assert await bench.runtime.agent().left_by(bench.request({}, turn=7)) == TurnLeft()


@pytest.mark.deep
async def test_an_idle_agent_worker_has_no_container_that_runs(containers: Bench) -> None:
    """Its helper container was never started: it only holds the volumes."""
    bench = containers
    assert isinstance(bench.runtime, DockerRuntime)
    await bench.prepare_folder()
    assert running(bench.worker) == []
    turn = asyncio.ensure_future(bench.turn({"says": "I wait", "waits": True}))
    await eventually(lambda: "I wait" in bench.said, timeout=60)
    assert running(bench.worker) == [turn_name(bench.worker, 1)]
    await bench.write("go", "")
    await within(turn, 60)
    assert running(bench.worker) == []


def running(worker: str) -> list[str]:
    return docker("ps", "--filter", f"name={worker}", "--format", "{{.Names}}").split()
