"""How a run in a container begins: once, whatever becomes of the engine and of the platform meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from activities.adapters.agents.base import Told
from activities.adapters.containers import streams
from activities.adapters.containers.engine import ContainerSpec, DockerContainerEngine
from activities.adapters.containers.runs import ContainerRuns, bounded_run
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.ids import turn_name
from contracts.steps import TurnRequest
from tests.support.eventually import eventually
from tests.support.services.runtimes import MAKEFILE, Bench, DockerRuntime, docker

pytestmark = pytest.mark.timeout(300)


async def spec_of(runtime: DockerRuntime, request: TurnRequest, name: str) -> ContainerSpec:
    """The container that the runtime would make for the turn."""
    agent = runtime.agent()
    _, spec = await agent._spec(request, name, Told(request.message), (await agent._image(request)).tag)
    return spec


async def test_a_turn_that_was_created_and_not_started_is_started_once(bench: Bench) -> None:
    await bench.prepare()
    runtime = bench.runtime
    assert isinstance(runtime, DockerRuntime)
    request = bench.request({})
    spec = await spec_of(runtime, request, turn_name(bench.worker, 1))
    await runtime.engine.create(bounded_run(spec, 60))
    assert (await bench.turn({})).status == "done"
    assert await bench.told("wc -l < ~/runs.log") == "2"


@pytest.mark.deep  # the launcher gives up after half a minute
async def test_an_agent_that_the_engine_started_and_does_not_know_never_begins(bench: Bench) -> None:
    """As after a daemon that was killed in the middle of the start: its process waits, and goes."""
    await bench.prepare()
    runtime, name = bench.runtime, turn_name(bench.worker, 1)
    assert isinstance(runtime, DockerRuntime)
    spec = await spec_of(runtime, bench.request({}), name)
    await runtime.engine.create(bounded_run(spec, 60))
    await runtime.engine.start(name)
    docker("rename", name, f"unknown-{name}")
    assert (await bench.turn({})).status == "done"
    assert await runtime.engine.wait(f"unknown-{name}", 240)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", f"unknown-{name}").strip() == "75"
    assert await bench.told("wc -l < ~/runs.log") == "2"


@pytest.mark.deep  # the launcher gives up after half a minute
async def test_an_agent_that_got_no_signal_in_time_is_started_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the platform sent between the two steps of a start did not arrive."""
    send, lost = streams.send_all, list[bytes]()

    def loses_one(attached: object, message: bytes, timeout_s: float) -> bool:
        if lost:
            return send(attached, message, timeout_s)
        lost.append(message)
        return True

    await bench.prepare()
    runtime, name = bench.runtime, turn_name(bench.worker, 1)
    assert isinstance(runtime, DockerRuntime)
    monkeypatch.setattr(streams, "send_all", loses_one)
    with pytest.raises(OrchestratorError, match="stopped waiting") as late:
        await bench.turn({})
    assert late.value.retryable
    assert (await runtime.runs().status(name)).state == "absent"
    assert (await bench.turn({})).status == "done"
    assert await bench.told("wc -l < ~/runs.log") == "2"


async def test_an_order_that_cannot_be_sent_is_brought_by_the_engine(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the engine's socket has a proxy, which attaches nobody."""

    async def no_input(engine: DockerContainerEngine, work: Callable[[Any], Any]) -> Any:
        if "attach_socket" in work.__code__.co_names:
            raise OrchestratorError(ErrorCode.PROCESS_FAILED, "Docker refused: this is not allowed here")
        return await real(engine, work)

    await bench.prepare()
    real = DockerContainerEngine._call
    monkeypatch.setattr(DockerContainerEngine, "_call", no_input)
    assert (await bench.turn({"runs": ["cat"]}, env_vars={"SHOP_TOKEN": "x"})).status == "done"
    monkeypatch.setattr(streams, "send_all", lambda *_: False)
    monkeypatch.setattr(DockerContainerEngine, "_call", real)
    assert (await bench.turn({}, turn=2)).status == "done"
    assert await bench.told("wc -l < ~/runs.log") == "3"


async def test_an_agent_without_its_signal_yet_gets_it_and_is_not_started_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = ContainerRuns._save

    def forgets_that_it_told(runs: ContainerRuns, name: str, record: dict[str, Any]) -> None:
        if not record["told"]:
            save(runs, name, record)

    await bench.prepare()
    monkeypatch.setattr(ContainerRuns, "_save", forgets_that_it_told)
    variables = {"SHOP_TOKEN": "token-of-the-agent"}
    with pytest.raises(OrchestratorError) as unknown:  # for this turn it is as if nothing had begun
        await bench.turn({"hangs": True, "says": "begun"}, env_vars=variables)
    assert unknown.value.code is ErrorCode.AGENT_LOST
    first = docker("inspect", "--format", "{{.Id}}", turn_name(bench.worker, 1))
    monkeypatch.undo()
    running = asyncio.ensure_future(bench.turn({"hangs": True}, env_vars=variables))
    await eventually(lambda: "begun" in bench.said)
    assert docker("inspect", "--format", "{{.Id}}", turn_name(bench.worker, 1)) == first
    kept = docker("exec", turn_name(bench.worker, 1), "sh", "-c", "wc -l < ~/runs.log; find ~/.run -type f")
    assert kept.split()[0] == "1"
    assert "environment" not in kept
    await bench.runtime.agent().stop_turn(bench.request({}))
    with pytest.raises(OrchestratorError):
        await running


async def test_variables_reach_the_agent_whatever_their_names_and_leave_no_file(bench: Bench) -> None:
    await bench.prepare()
    variables = {"code": "seven", "mine": "yours", "timeout_s": "x", "stopping": "1", "SHOP_TOKEN": "it's\n$HOME"}
    look = 'echo "$code $mine $timeout_s $stopping $SHOP_TOKEN"; find ~/.run -type f | sed "s,.*/,,"'
    await bench.turn({"runs": [look]}, env_vars=variables)
    assert bench.said[-1] == "0: seven yours x 1 it's\n$HOME\nbegin\nbegun".replace("it's\n$HOME", "[hidden]")
    assert "ended" in await bench.told("find ~/.run -type f")


@pytest.mark.deep  # long enough for what it starts to begin, on any machine
async def test_what_an_agent_had_started_is_asked_to_end_when_its_time_is_over(bench: Bench) -> None:
    await bench.prepare()
    started = "trap 'touch /workspace/asked; exit' TERM; sleep 60 & wait"
    with pytest.raises(OrchestratorError, match="within 15 s"):
        await bench.turn({"runs": [started]}, timeout_s=15)
    assert await bench.told("ls /workspace/asked") == "/workspace/asked"


async def test_a_container_that_the_engine_started_half_way_is_made_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Docker says when its daemon was killed in the middle of a start."""
    real, refused = DockerContainerEngine._call, []

    async def refuses_once(engine: DockerContainerEngine, work: Callable[[Any], Any]) -> Any:
        if "start" in work.__code__.co_names and not refused:
            refused.append(work)
            raise OrchestratorError(ErrorCode.PROCESS_FAILED, f"Docker refused: task {'6f' * 32}: already exists")
        return await real(engine, work)

    monkeypatch.setattr(DockerContainerEngine, "_call", refuses_once)
    result = await bench.verify(bench.verification({"Makefile": MAKEFILE.format("echo '= 3 passed ='")}))
    assert result.passed
    assert refused


async def test_a_turn_whose_second_start_is_interrupted_too_is_not_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half started, then the engine stops while the container is created again."""
    real, refused = DockerContainerEngine._call, list[str]()

    async def refuses_twice(engine: DockerContainerEngine, work: Callable[[Any], Any]) -> Any:
        names = work.__code__.co_names
        if "start" in names and not refused:
            refused.append("start")
            raise OrchestratorError(ErrorCode.PROCESS_FAILED, f"Docker refused: task {'6f' * 32}: already exists")
        if "create_container" in names and refused == ["start"]:
            refused.append("create")
            raise OrchestratorError(ErrorCode.DOCKER_UNREACHABLE, "away", error_class=ErrorClass.TRANSIENT)
        return await real(engine, work)

    await bench.prepare()
    monkeypatch.setattr(DockerContainerEngine, "_call", refuses_twice)
    with pytest.raises(OrchestratorError, match="away"):
        await bench.turn({})
    assert (await bench.turn({})).status == "done"
    assert refused == ["start", "create"]
