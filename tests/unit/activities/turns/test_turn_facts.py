"""What a heartbeat says of a running turn, and how many fine events one chunk of its output may become."""

from __future__ import annotations

from activities.adapters.agents.base import AgentReport
from activities.adapters.agents.outcome import facts_of
from activities.adapters.runs.follower import LineFollower, Shown
from activities.adapters.runs.states import RunStatus
from activities.ports import Follow
from contracts.progress import FineEvent

SECRET = "hunter2-hunter2-hunter2"


def test_a_heartbeat_names_session_and_cost_and_no_secret() -> None:
    assert facts_of(AgentReport(), []) == {}
    said = facts_of(AgentReport(session_id=f"s-{SECRET}", cost_usd=0.25), [SECRET])
    assert said["cost_usd"] == 0.25
    assert SECRET not in str(said["session"])


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
