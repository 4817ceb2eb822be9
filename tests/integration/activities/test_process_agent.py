"""Turns of agents as processes: one agent per turn, whatever happens to the one who asked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from activities.adapters import process_table
from activities.adapters.agent_clis import ScriptedAgent
from activities.adapters.process_agent import ProcessAgentRuntime
from activities.adapters.supervision import BEHIND_THE_PLATFORM, Supervisor
from activities.adapters.unprivileged import UnprivilegedUsers
from activities.ports import Follow
from contracts.agent_workers import TurnOutcome
from contracts.errors import ErrorCode, OrchestratorError
from contracts.progress import FineEvent
from contracts.states import AgentKind
from contracts.steps import TurnRequest
from runtime.artifacts import DirectoryArtifactStore
from tests.support.eventually import eventually
from tests.support.runtimes import Bench

STUB = """
import json, os, sys, time
arguments = sys.argv[1:]
prompt = json.loads(arguments[arguments.index("-p") + 1])
resumed = arguments[arguments.index("--resume") + 1] if "--resume" in arguments else None
with open("runs.log", "a") as log:
    log.write(f"{resumed}\\n")
if resumed is not None and prompt.get("forgets"):
    sys.exit(f"No conversation found with session ID: {resumed}")
def line(**event):
    print(json.dumps({**event, "session_id": "session-1"}), flush=True)
line(type="system", subtype="init")
for text in prompt.get("raw", []):
    print(text, flush=True)
for sign, times in prompt.get("floods", []):
    print(sign * times, flush=True)
for text in prompt.get("says", []):
    line(type="assistant", message={"content": [{"type": "text", "text": text}]})
line(type="assistant", message={"content": [{"type": "tool_use", "name": "Bash", "input": {"command": "make test"}}]})
open("environment.json", "w").write(json.dumps(dict(os.environ)))
if prompt.get("hangs"):
    time.sleep(600)
if "outcome" in prompt:
    open(os.environ["ORCHESTRATOR_OUTCOME"], "w").write(prompt["outcome"] * prompt.get("times", 1))
while prompt.get("waits") and not os.path.exists("go"):
    time.sleep(0.02)
if not prompt.get("silent"):
    line(type="result", subtype="success", is_error=False, result="all good", total_cost_usd=0.25,
         usage={"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 3})
sys.exit(prompt.get("exit", 0))
"""


class Desk:
    def __init__(self, root: Path) -> None:
        (root / "stub.py").write_text(STUB)
        self.root = root
        self.worker = f"eng-{uuid4().hex[:8]}"
        self.workspace = root / "workspaces" / self.worker
        self.workspace.mkdir(parents=True)
        self.supervisor = Supervisor(root / "runs")
        self.artifacts = DirectoryArtifactStore(root / "artifacts")
        self.reports: list[tuple[list[FineEvent], int]] = []

    def runtime(self) -> ProcessAgentRuntime:
        """A new one each time: nothing may depend on what a process remembers."""
        return ProcessAgentRuntime(
            Supervisor(self.root / "runs"),
            self.root / "homes",
            self.root / "workspaces",
            [ScriptedAgent(program=self.root / "stub.py", python=Path(sys.executable))],
            UnprivilegedUsers([self.root]),
            self.artifacts,
        )

    def request(self, prompt: dict[str, object], **fields: object) -> TurnRequest:
        known = {
            "worker_id": self.worker, "turn": 1, "request_id": "r1", "task_id": "eng-1", "project_id": "p1",
            "agent": AgentKind.SCRIPTED, "message": json.dumps(prompt),
        }  # fmt: skip
        return TurnRequest.model_validate({**known, **fields})

    def follow(self, offset: int = 0) -> Follow:
        async def report(events: list[FineEvent], after: int) -> None:
            self.reports.append((events, after))

        return Follow(offset, report)

    async def turn(self, prompt: dict[str, object], **fields: object) -> TurnOutcome:
        return await self.runtime().run_turn(self.request(prompt, **fields), self.follow())

    @property
    def events(self) -> list[FineEvent]:
        return [event for events, _ in self.reports for event in events]

    @property
    def runs(self) -> list[str]:
        log = self.workspace / "runs.log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    one = Desk(tmp_path)
    yield one
    for run in (tmp_path / "runs").iterdir() if (tmp_path / "runs").exists() else []:
        await one.supervisor.stop(run.name, grace_s=0)


def outcome(**fields: object) -> dict[str, object]:
    return {"outcome": json.dumps(fields)}


async def test_a_turn_gives_what_the_agent_said_spent_and_left(desk: Desk) -> None:
    done = await desk.turn({"says": ["thinking"], **outcome(status="done", summary="built it", files=["a.py"])})
    assert (done.status, done.summary, done.files_changed) == ("done", "built it", ["a.py"])
    assert (done.session_id, done.cost_usd, done.input_tokens, done.output_tokens) == ("session-1", 0.25, 12, 3)
    assert not done.fresh_context
    assert done.transcript is not None
    assert b'"all good"' in await desk.artifacts.read(done.transcript)


async def test_what_the_agent_does_is_seen_as_events_with_stable_keys(desk: Desk) -> None:
    await desk.turn({"says": ["thinking"]})
    first = desk.events
    desk.reports.clear()
    await desk.turn({"says": ["thinking"]})
    assert [event.event.message for event in first] == ["thinking", "Bash: make test"]
    assert [event.key for event in desk.events] == [event.key for event in first]
    assert all(event.key.startswith(f"{desk.worker}:1:") for event in first)


async def test_a_second_attempt_adopts_the_turn_and_reports_only_what_is_new(desk: Desk) -> None:
    request = desk.request({"says": ["early"], "waits": True})
    attempt = asyncio.ensure_future(desk.runtime().run_turn(request, desk.follow()))
    await eventually(lambda: len(desk.events) == 2)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    reported = desk.reports[-1][1]
    desk.reports.clear()
    again = asyncio.ensure_future(desk.runtime().run_turn(request, desk.follow(reported)))
    await eventually(lambda: len(desk.reports) >= 2, message="a report without events")
    (desk.workspace / "go").touch()
    assert (await again).status == "done"
    assert desk.events == []
    assert desk.runs == ["None"]


async def test_two_attempts_at_once_run_one_agent(desk: Desk) -> None:
    request = desk.request({})
    results = await asyncio.gather(*(desk.runtime().run_turn(request, desk.follow()) for _ in range(3)))
    assert len({result.model_dump_json() for result in results}) == 1
    assert desk.runs == ["None"]


async def test_a_question_comes_back_with_its_choices(desk: Desk) -> None:
    asked = await desk.turn(outcome(status="question", summary="s", question="Which?", choices=["a", "b"]))
    assert (asked.status, asked.question, asked.choices) == ("question", "Which?", ["a", "b"])


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ({"exit": 3, **outcome(status="done", summary="")}, "all good"),
        ({"exit": 3, "silent": True}, "exit code 3"),
        ({"silent": True}, "without a result"),
        (outcome(status="failed", summary="too hard"), "too hard"),
    ],
)
async def test_an_agent_that_failed_cannot_claim_to_be_done(desk: Desk, prompt: dict[str, object], reason: str) -> None:
    failed = await desk.turn(prompt)
    assert failed.status == "failed"
    assert reason in failed.summary


async def test_a_turn_whose_result_line_was_lost_counts_by_what_the_agent_left(desk: Desk) -> None:
    done = await desk.turn({"silent": True, **outcome(status="done", summary="three files")})
    assert (done.status, done.summary) == ("done", "three files")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"status": "root"}', '{"status": "done", "summary": 5}', "x", '{"status":"question"}'],
)
async def test_an_unusable_outcome_file_is_no_outcome(desk: Desk, content: str) -> None:
    done = await desk.turn({"outcome": content, "times": 300_000 if content == "x" else 1})
    assert (done.status, done.question) == ("done", None)


async def test_garbage_in_the_stream_is_survived(desk: Desk) -> None:
    raw = ["not json", "{", "[1, 2]", '"text"', '{"type": "assistant", "message": 5}', "a\x00\x1b[31mred"]
    floods = [["[", 100_000], ["y", 9_000_000], ["\n", 20_000]]
    done = await desk.turn({"raw": raw, "floods": floods, "says": ["still here"]})
    assert done.status == "done"
    assert "still here" in [event.event.message for event in desk.events]
    assert "ared" in [event.event.message for event in desk.events]
    assert all(len(event.event.message or "") <= 700 for event in desk.events)


async def test_a_forgotten_session_is_started_fresh_exactly_once(desk: Desk) -> None:
    first = await desk.turn({"forgets": True}, session_id="old")
    again = await desk.turn({"forgets": True}, session_id="old")
    assert (first.status, first.fresh_context, first.session_id) == ("done", True, "session-1")
    assert again == first
    assert desk.runs == ["old", "None"]


async def test_a_known_session_is_resumed(desk: Desk) -> None:
    assert not (await desk.turn({}, session_id="old")).fresh_context
    assert desk.runs == ["old"]


async def test_a_turn_over_its_time_is_ended_and_its_transcript_kept(desk: Desk) -> None:
    with pytest.raises(OrchestratorError) as failed:
        await desk.turn({"hangs": True, "says": ["half way"]}, timeout_s=1)
    assert failed.value.code is ErrorCode.AGENT_FAILED
    assert not failed.value.retryable
    assert failed.value.details["transcript"].startswith("artifact://")


async def test_a_stopped_turn_leaves_nothing_and_is_not_started_again(desk: Desk) -> None:
    request = desk.request({"hangs": True})
    running = asyncio.ensure_future(desk.runtime().run_turn(request, desk.follow()))
    await eventually(lambda: len(desk.events) == 1)
    pid = desk.supervisor.status(f"turn-{desk.worker}-1").pid
    assert pid is not None
    await desk.runtime().stop_turn(request)
    found = process_table.entry(pid)
    assert found is None or not found.alive
    for attempt in (running, desk.runtime().run_turn(request, desk.follow())):
        with pytest.raises(OrchestratorError) as stopped:
            await attempt
        assert stopped.value.code is ErrorCode.STOPPED_BY_PERSON
    assert desk.runs == ["None"]


async def test_a_lost_turn_is_not_paid_twice(desk: Desk) -> None:
    request = desk.request({"hangs": True})
    running = asyncio.ensure_future(desk.runtime().run_turn(request, desk.follow()))
    await eventually(lambda: len(desk.events) == 1)
    record = json.loads((desk.root / "runs" / f"turn-{desk.worker}-1" / "status.json").read_text())
    os.kill(record["supervisor_pid"], signal.SIGKILL)
    for attempt in (running, desk.runtime().run_turn(request, desk.follow())):
        with pytest.raises(OrchestratorError) as lost:
            await attempt
        assert lost.value.code is ErrorCode.AGENT_LOST
        assert not lost.value.retryable
    found = process_table.entry(record["pid"])
    assert found is None or not found.alive
    assert desk.runs == ["None"]


async def test_the_agent_sees_its_own_variables_and_nothing_of_the_platform(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "platform-secret")
    wanted = {"SHOP_TOKEN": "token-of-the-agent", "LD_PRELOAD": "/evil.so", "HOME": "/root", "bad name": "x"}
    done = await desk.turn({"says": ["it is token-of-the-agent"]}, env_vars=wanted)
    seen = json.loads((desk.workspace / "environment.json").read_text())
    assert seen["SHOP_TOKEN"] == "token-of-the-agent"
    assert seen["HOME"] == str(desk.root / "homes" / desk.worker)
    assert set(seen) <= {
        "PATH", "HOME", "LANG", "TMPDIR", "CLAUDE_CONFIG_DIR", "ORCHESTRATOR_OUTCOME", "ORCHESTRATOR_RUN",
        "SHOP_TOKEN", "LC_CTYPE", "SCRIPTED_AGENT_RUN_LOG",
    }  # fmt: skip
    assert desk.events[0].event.message == "it is [hidden]"
    assert done.transcript is not None
    assert b"token-of-the-agent" not in await desk.artifacts.read(done.transcript)


async def test_an_agent_that_is_not_set_up_is_named(desk: Desk) -> None:
    with pytest.raises(OrchestratorError) as refused:
        await desk.turn({}, agent=AgentKind.FACTORY_DROID)
    assert refused.value.code is ErrorCode.INVALID_INPUT
    assert "factory-droid" in refused.value.message


async def test_agents_and_tests_get_the_processor_behind_the_platform(tmp_path: Path) -> None:
    """Twenty at once must not keep the platform from beating its heart."""
    bench, behind = Bench.make(tmp_path, "process"), os.nice(0) + BEHIND_THE_PLATFORM
    await bench.prepare()
    assert await bench.told("nice") == str(behind)
    tests = f"setup check:\n\t@true\ntest:\n\t@test $$(nice) = {behind}\n"
    assert (await bench.verify(bench.verification({"Makefile": tests}))).exit_code == 0
    await bench.runtime.close()
