"""What holds for turns of agents wherever they run: as processes and in containers."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.errors import ErrorCode, OrchestratorError
from contracts.ids import turn_name
from contracts.states import AgentKind
from tests.support.eventually import eventually
from tests.support.services.runtimes import Bench, working

pytestmark = pytest.mark.timeout(300)
both_sides = pytest.mark.parametrize("bench", ["process", "docker"], indirect=True)
processes_in_the_gate = pytest.mark.parametrize(
    "bench", ["process", pytest.param("docker", marks=pytest.mark.deep)], indirect=True
)
"""For claims about code that both sides run, where another test has that code in containers."""


@pytest.fixture(params=[pytest.param("process", marks=pytest.mark.deep), "docker"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """The gate looks at containers; at processes it looks where a test says `both_sides`."""
    async with working(tmp_path, request.param) as one:
        yield one


OWN = {
    "PATH", "HOME", "LANG", "TMPDIR", "CLAUDE_CONFIG_DIR", "ORCHESTRATOR_OUTCOME", "ORCHESTRATOR_PROFILE",
    "ORCHESTRATOR_RUN", "LC_CTYPE", "SCRIPTED_AGENT_RUN_LOG", "HOSTNAME", "PWD", "SHOP_TOKEN",
}  # fmt: skip
"""The names of all that an agent finds in its environment, with one variable of its own."""


@both_sides
async def test_a_turn_gives_what_the_agent_said_spent_and_left(bench: Bench) -> None:
    await bench.prepare()
    done = await bench.turn({"outcome": {"status": "done", "summary": "built it", "files": ["a.py"]}})
    assert (done.status, done.summary, done.files_changed) == ("done", "built it", ["a.py"])
    assert (done.session_id, done.cost_usd, done.input_tokens, done.output_tokens) == ("session-1", 0.25, 5, 3)
    assert bench.said == ["thinking"]
    assert done.transcript is not None
    assert b'"all good"' in await bench.artifacts.read(done.transcript)


async def test_nothing_runs_after_a_turn(bench: Bench) -> None:
    await bench.prepare()
    await bench.turn({"runs": ["(setsid sleep 613 >/dev/null 2>&1 &)"]})
    assert not await bench.runtime.alive(turn_name(bench.worker, 1))


async def test_a_second_attempt_adopts_a_running_turn_and_reports_only_what_is_new(bench: Bench) -> None:
    await bench.prepare()
    request = bench.request({"says": "early", "waits": True})
    attempt = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow()))
    await eventually(lambda: bench.said == ["early"])
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    assert await bench.runtime.alive(turn_name(bench.worker, 1))
    reports = len(bench.offsets)
    again = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow(bench.offsets[-1])))
    await eventually(lambda: len(bench.offsets) > reports + 1, message="reports without events")
    await bench.write("go")
    assert (await again).status == "done"
    assert bench.said == ["early"]
    assert await bench.told("cat ~/runs.log") == "None\nNone"


@processes_in_the_gate
async def test_a_turn_that_has_ended_is_read_again_and_not_repeated(bench: Bench) -> None:
    await bench.prepare()
    prompt: dict[str, object] = {"outcome": {"status": "done", "summary": "once"}}
    first = await bench.turn(prompt)
    keys = [event.key for event in bench.events]
    assert all(key.startswith(f"{bench.worker}:1:") for key in keys)
    bench.events.clear()
    assert await bench.turn(prompt) == first
    assert [event.key for event in bench.events] == keys
    assert await bench.told("wc -l < ~/runs.log") == "2"


async def test_three_concurrent_attempts_run_one_agent(bench: Bench) -> None:
    await bench.prepare()
    request = bench.request({})
    results = await asyncio.gather(*(bench.runtime.agent().run_turn(request, bench.follow()) for _ in range(3)))
    assert len({result.model_dump_json() for result in results}) == 1
    assert await bench.told("wc -l < ~/runs.log") == "2"


@processes_in_the_gate
async def test_a_question_comes_back_with_its_choices(bench: Bench) -> None:
    await bench.prepare()
    asked = await bench.turn({"outcome": {"status": "question", "question": "Which?", "choices": ["a", "b"]}})
    assert (asked.status, asked.question, asked.choices) == ("question", "Which?", ["a", "b"])


@both_sides
async def test_an_agent_that_failed_cannot_claim_to_be_done(bench: Bench) -> None:
    await bench.prepare()
    failed = await bench.turn({"exit": 3, "outcome": {"status": "done", "summary": "great"}})
    assert failed.status == "failed"


async def test_an_unusable_outcome_is_no_outcome(bench: Bench) -> None:
    await bench.prepare()
    plants = ["ln -s /etc/passwd $f", "head -c 300000 /dev/zero > $f", "mkfifo $f", "mkdir $f", "echo '{' > $f"]
    for number, plant in enumerate(plants):
        done = await bench.turn({"runs": [f"f=$ORCHESTRATOR_OUTCOME; {plant}"]}, turn=number + 1)
        assert (done.status, done.summary, done.question) == ("done", "all good", None)


async def test_garbage_and_floods_in_the_stream_are_survived(bench: Bench) -> None:
    await bench.prepare()
    garbage = ["not json", "{", "[1, 2]", '"text"', '{"type": "assistant", "message": 5}', "a\x00\x1b[31mred"]
    pour = f"print(*{garbage!r}, '[' * 100_000, 'y' * 9_000_000, '\\n' * 20_000, sep='\\n')"
    done = await bench.turn({"tells": f"exec({pour!r}) or 'still here'"})
    assert done.status == "done"
    assert {"ared", "still here"} <= set(bench.said)
    assert all(len(text) <= 700 for text in bench.said)


async def test_a_turn_over_its_time_is_ended_with_all_that_it_started(bench: Bench) -> None:
    await bench.prepare()
    for _ in range(2):
        with pytest.raises(OrchestratorError) as failed:
            await bench.turn({"hangs": True}, timeout_s=1)
        assert (failed.value.code, failed.value.retryable) == (ErrorCode.AGENT_FAILED, False)
        assert failed.value.details["transcript"].startswith("artifact://")
    assert not await bench.runtime.alive(turn_name(bench.worker, 1))


async def test_a_stopped_turn_leaves_nothing_and_is_not_started_again(bench: Bench) -> None:
    await bench.prepare()
    request = bench.request({"hangs": True})
    running = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow()))
    await eventually(lambda: bench.said == ["thinking"])
    await bench.runtime.agent().stop_turn(request)
    assert not await bench.runtime.alive(turn_name(bench.worker, 1))
    for attempt in (running, bench.runtime.agent().run_turn(request, bench.follow())):
        with pytest.raises(OrchestratorError) as stopped:
            await attempt
        assert stopped.value.code is ErrorCode.STOPPED_BY_PERSON
    assert await bench.told("wc -l < ~/runs.log") == "2"


async def test_a_turn_that_was_killed_from_outside_is_lost_and_not_paid_twice(bench: Bench) -> None:
    await bench.prepare()
    request = bench.request({"hangs": True})
    running = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow()))
    await eventually(lambda: bench.said == ["thinking"])
    await bench.runtime.kill(turn_name(bench.worker, 1))
    for attempt in (running, bench.runtime.agent().run_turn(request, bench.follow())):
        with pytest.raises(OrchestratorError) as lost:
            await attempt
        assert (lost.value.code, lost.value.retryable) == (ErrorCode.AGENT_LOST, False)
        assert not await bench.runtime.alive(turn_name(bench.worker, 1))
    assert await bench.told("wc -l < ~/runs.log") == "2"


async def test_the_home_outlives_a_turn_so_that_a_session_is_resumed(bench: Bench) -> None:
    await bench.prepare()
    first = await bench.turn({})
    second = await bench.turn({}, turn=2, session_id=first.session_id)
    assert (second.status, second.fresh_context) == ("done", False)
    assert await bench.told("cat ~/runs.log") == "None\nsession-1\nNone"


@processes_in_the_gate
async def test_an_unknown_session_is_started_fresh_exactly_once(bench: Bench) -> None:
    await bench.prepare()
    first = await bench.turn({}, session_id="forgotten")
    again = await bench.turn({}, session_id="forgotten")
    assert (first.status, first.fresh_context, first.session_id) == ("done", True, "session-1")
    assert again == first
    assert await bench.told("cat ~/runs.log") == "forgotten\nNone\nNone"


async def test_the_agents_variables_reach_it_and_nothing_of_the_platform_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "platform-secret")
    await bench.prepare()
    wanted = {"SHOP_TOKEN": 'it\'s $a "token"', "LD_PRELOAD": "/evil.so", "HOME": "/root", "bad name": "x"}
    looks = ["echo $SHOP_TOKEN", "[ $HOME != /root ]", "echo $ORCHESTRATOR_PROFILE"]
    told = {"tells": "repr(sorted(os.environ))", "runs": looks}
    done = await bench.turn(told, env_vars={**wanted, "ORCHESTRATOR_PROFILE": "root"}, profile="devops")
    seen = set(ast.literal_eval(bench.said[1]))
    assert "SHOP_TOKEN" in seen
    assert seen <= OWN
    assert bench.said[2:] == ["0: [hidden]", "0: ", "0: devops"]
    assert done.transcript is not None
    assert b"$a" not in await bench.artifacts.read(done.transcript)


async def test_an_agent_that_is_not_set_up_is_named(bench: Bench) -> None:
    with pytest.raises(OrchestratorError, match="factory-droid") as refused:
        await bench.turn({}, agent=AgentKind.FACTORY_DROID)
    assert refused.value.code is ErrorCode.INVALID_INPUT


async def test_a_turn_without_a_workspace_is_refused(bench: Bench) -> None:
    with pytest.raises(OrchestratorError) as refused:
        await bench.turn({})
    assert refused.value.code is ErrorCode.NOT_FOUND
