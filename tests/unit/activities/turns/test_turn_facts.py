"""What a heartbeat says of a running turn, and how many fine events one chunk of its output may become."""

from __future__ import annotations

import json

import pytest

from activities.adapters.agents.base import AgentReport
from activities.adapters.agents.outcome import facts_of, shown_of
from activities.adapters.agents.stream import StreamJson
from activities.adapters.runs.follower import LineFollower, Shown
from activities.adapters.runs.states import RunStatus
from activities.ports import Follow
from contracts.progress import FineEvent
from contracts.states import AgentKind
from contracts.steps import TurnRequest

SECRET = "hunter2-hunter2-hunter2"
TOKEN = "omt-Zk3_vQ8-aaBBccDDeeFFggHH"
REQUEST = TurnRequest(
    worker_id="eng-1", turn=1, request_id="r1", task_id="eng-1", project_id="p1", agent=AgentKind.SCRIPTED,
    message="go", env_vars={"API_KEY": SECRET},
)  # fmt: skip


def test_a_heartbeat_names_session_and_cost_and_no_secret() -> None:
    assert facts_of(REQUEST, AgentReport()) == {}
    said = facts_of(REQUEST, AgentReport(session_id=f"s-{SECRET}-{TOKEN}", cost_usd=0.25))
    assert said["cost_usd"] == 0.25
    assert SECRET not in str(said["session"])
    assert TOKEN not in str(said["session"])


@pytest.mark.parametrize("secret", [SECRET, TOKEN])
@pytest.mark.parametrize("before", range(560, 610, 3))
def test_no_half_of_a_secret_is_shown_where_a_text_is_cut(secret: str, before: int) -> None:
    for line in (
        {"type": "assistant", "message": {"content": [{"type": "text", "text": "x " * (before // 2) + secret * 9}]}},
        {"type": "result", "result": "y " * (before // 2 + 9_700) + secret * 9, "subtype": "success"},
    ):
        reader = StreamJson()
        texts = shown_of(REQUEST, reader, json.dumps(line).encode())
        assert secret[:8] not in " ".join([*texts, reader.report.text])


class Printed:
    """A run that printed all of this at once and has ended."""

    def __init__(self, output: bytes) -> None:
        self.output = output

    def read_output(self, name: str, offset: int, limit: int = 65536) -> tuple[bytes, int]:
        chunk = self.output[offset : offset + limit]
        return chunk, offset + len(chunk)

    async def wait(self, name: str) -> RunStatus:
        return RunStatus(name, "exited", exit_code=0)


async def test_an_agent_that_prints_without_end_is_not_shown_line_by_line() -> None:
    output = b"\n".join(b"%05d" % number for number in range(20_000)) + b"\n"
    events: list[FineEvent] = []
    offsets: list[int] = []

    async def report(more: list[FineEvent], offset: int) -> None:
        events.extend(more)
        offsets.append(offset)

    follower = LineFollower(Printed(output), Follow(0, report), "w:1", "r", "t")
    await follower.follow("run", lambda line: [Shown(line.decode(), "command")])
    assert len(events) <= 200 * (len(output) // 65536 + 1)
    assert len({event.key for event in events}) == len(events)
    assert offsets[-1] == len(output), "what is left out is read all the same"
