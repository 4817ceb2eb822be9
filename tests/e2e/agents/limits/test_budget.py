"""A budget of a few cents and an agent that loops: real Claude Code in its container, the real proxy, a chat."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from api.model_proxy.prices import Prices
from api.model_proxy.usage import TokenUse
from emulators.model.records import Record
from tests.e2e.agents.limits.conftest import INTERRUPTED, Limited, serves_notes
from tests.support.people.chat import link

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(1500)]

Note = Callable[[str, object], None]
BUDGET = "0.08"
PRICES = Prices(Decimal(10), Decimal(50))


def cost(one: Record) -> Decimal:
    """What the vendor's bill says of a request, at the prices of today."""
    if one.usage is None:
        return Decimal(0)
    use = TokenUse(one.usage.fresh, one.usage.output, one.usage.cache_read, one.usage.cache_write)
    return PRICES.price("anthropic", one.model, use).usd


async def test_a_loop_ends_within_one_request_asks_and_goes_on_after_a_plus(
    limited: Limited, record_property: Note
) -> None:
    real, stack = limited.real, limited.real.stack
    before = len(real.model.records.requests)
    ann = await limited.chat.member("en", "Ann")
    async with limited.chosen("task_budget_usd", BUDGET):
        ann.say("Make a notes service: title, text [model:loop]")
        screen = await ann.sees("that this task may spend on models are spent", timeout=600)
        sent = real.model.records.requests[before:]
        costs = [cost(one) for one in sent]
        assert {one.step for one in real.work} >= {"loop"}
        assert sum(costs) >= Decimal(BUDGET), "the bill is that of the model"
        assert sum(costs[:-1]) < Decimal(BUDGET), "no request was sent once the money was spent"
        record_property("stopped", f"{len(costs)} requests, ${sum(costs):.4f}, without the last ${sum(costs[:-1]):.4f}")
        assert f"of ${float(BUDGET):.4f}" in screen.text
        assert any("+0.08 USD" in button.text for button in screen.buttons)

        task = await limited.task(ann)
        shown = await stack.cli("task", "show", task["id"])
        assert "waiting" in shown.out
        [question] = (await stack.ok("question", "list"))["items"]
        assert question["choices"] == ["+0.08 USD", "stop"]
        assert "$0.0800" in (await stack.cli("question", "show", question["id"])).out
        assert await limited.agent_containers() == [], "nothing runs while a person is asked"
        assert len(real.model.records.requests) == before + len(sent)

        with real.playing(INTERRUPTED, *real.named("notes")):
            ann.say("+1 USD", reply_to=screen)
            done = await ann.sees("Ready", timeout=400)
        assert await serves_notes(link(done))
        assert (await stack.finished(task["id"], 30))["state"] == "completed"
    total = sum(cost(one) for one in real.model.records.requests[before:])
    report = await stack.ok("cost", "--by", "task")
    counted = sum(row["cost_usd"] for row in report["items"] if str(row["key"]).endswith(task["id"].partition("-")[2]))
    record_property("in all", f"${total:.4f}")
    assert counted == pytest.approx(float(total)), "what people read is what the vendor bills"
