"""Usage windows in real time: the vendor's 429 through proxy, container and workflow to a chat, and on by itself."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.e2e.agents.limits.conftest import FIRST, INTERRUPTED, Limited, fault, serves_notes
from tests.support.eventually import eventually
from tests.support.people.chat import link

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(1500)]

WINDOW_S = 20.0


def told(text: str) -> datetime:
    """The moment in a sentence for people."""
    found = text.partition(" UTC")[0][-19:]
    return datetime.strptime(f"{found} +0000", "%Y-%m-%d %H:%M:%S %z")


async def test_a_window_of_seconds_is_told_with_its_time_and_waited_out(
    limited: Limited, record_property: Callable[[str, object], None]
) -> None:
    real, stack = limited.real, limited.real.stack
    bob = await limited.chat.member("en", "Bob")
    with (
        real.playing(FIRST, fault(429, reset_s=WINDOW_S)),
        real.playing(INTERRUPTED, *real.named("notes")),
    ):
        bob.say("Make a notes service: title, text")
        screen = await bob.sees("goes on by itself at", timeout=600)
        refused = next(one for one in reversed(real.work) if one.status == 429)
        opens = datetime.fromtimestamp(refused.at + WINDOW_S, UTC)
        assert abs((told(screen.text) - opens).total_seconds()) < 3
        task = await limited.task(bob)
        row = await stack.task(task["id"])
        assert row["state"] == "waiting", row
        shown = await stack.cli("task", "show", task["id"])
        assert f"{told(screen.text):%Y-%m-%d %H:%M:%S}" in shown.out.replace("\n", " "), shown.out
        assert await limited.agent_containers() == [], "nothing runs while the window is closed"
        done = await bob.sees("Ready", timeout=400)
    assert await serves_notes(link(done))
    later = [one for one in real.work if one.number > refused.number]
    record_property("pause", f"{later[0].at - refused.at:.1f} s for a window of {WINDOW_S:.0f} s")
    assert later[0].at >= refused.at + WINDOW_S, "nothing is sent before the window opens"
    assert later[0].at < refused.at + WINDOW_S + 30, "and it goes on soon after"
    questions = (await stack.get("/questions", state="expired"))["items"]
    assert "opens again at" in questions[0]["text"]


async def test_a_wait_for_a_window_can_be_cancelled(limited: Limited) -> None:
    real, stack = limited.real, limited.real.stack
    cid = await limited.chat.member("en", "Cid")
    with real.playing(FIRST, fault(429, reset_s=40.0)):
        cid.say("Make a notes service: title, text")
        await cid.sees("goes on by itself at", timeout=600)
        refused = real.work[-1]
        assert refused.status == 429
        task = await limited.task(cid)
        await stack.ok("task", "cancel", task["id"])
        ended = await stack.finished(task["id"], 30)
        assert ended["state"] == "cancelled"
        await cid.sees("stopped", timeout=30)
        await eventually(lambda: _is_open_again(refused.at + 40.0), 60)
    assert real.work[-1].number == refused.number, "nothing goes on by itself after a cancel"
    questions = (await stack.get("/questions", state="withdrawn"))["items"]
    assert "opens again at" in questions[0]["text"]


def _is_open_again(at: float) -> bool:
    return datetime.now(UTC).timestamp() > at
