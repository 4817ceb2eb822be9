"""What a vendor's limit does to the turn that meets it: the agent is stopped at once, and why is not forgotten."""

from __future__ import annotations

import asyncio

import pytest

from api.model_proxy import ledger
from tests.integration.api.models.conftest import ModelWorld, Turn
from tests.support.vendor import STREAM, Answer, message_events

MESSAGES, RESPONSES = ("/v1/messages", "claude-opus-5-5"), ("/v1/responses", "gpt-6.1-sol")
GOOD = Answer(message_events("claude-opus-5-5", 10, 1), headers=STREAM)


def refusal(status: int, kind: str, **headers: str) -> Answer:
    body = f'{{"type":"error","error":{{"type":"{kind}","message":"Said by the vendor."}}}}'.encode()
    return Answer([body], status, {"content-type": "application/json", **headers})


async def again(models: ModelWorld, turn: Turn) -> Turn:
    """The same turn, opened once more by a second run of its activity."""
    return await models.turn(**turn.body)


@pytest.mark.parametrize(("way", "stop_status"), [(MESSAGES, 402), (RESPONSES, 400)])
@pytest.mark.parametrize("status", [500, 529])
async def test_after_an_outage_the_turn_is_stopped_with_its_reason_and_others_go_on(
    models: ModelWorld, way: tuple[str, str], stop_status: int, status: int
) -> None:
    models.vendor.answers = [refusal(status, "overloaded_error"), GOOD]
    turn, other = await models.turn(), await models.turn()
    assert (await turn.ask(*way)).status_code == status
    for _ in range(2):
        stopped = await turn.ask(*way)
        assert (stopped.status_code, "Said by the vendor" in stopped.text) == (stop_status, True)
    assert len(models.vendor.asked) == 1
    spent = await turn.spending()
    assert (spent["limit"]["kind"], spent["requests"], spent["last_status"]) == ("outage", 1, status)
    assert (await other.ask(*way)).status_code == 200


async def test_an_outage_inside_of_a_stream_stops_the_turn_too(models: ModelWorld) -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    models.vendor.stream([*message_events("claude-opus-5-5", 50, 9)[:3], error])
    turn = await models.turn()
    await turn.ask()
    assert (await turn.ask()).status_code == 402


async def test_the_answer_to_what_was_open_beside_does_not_hide_the_first_limit(models: ModelWorld) -> None:
    held = Answer(message_events("claude-opus-5-5", 10, 1), headers=STREAM, hold_at=1)
    models.vendor.answers = [held, refusal(529, "overloaded_error")]
    turn = await models.turn()
    beside = asyncio.ensure_future(turn.ask())
    await models.vendor.holding.wait()
    assert (await turn.ask()).status_code == 529
    models.vendor.go_on.set()
    assert (await beside).status_code == 200
    assert (await turn.spending())["limit"]["kind"] == "outage"
    assert (await turn.ask()).status_code == 402


@pytest.mark.parametrize(
    ("status", "kind", "limit"), [(402, "billing_error", "auth"), (400, "invalid_request_error", "request")]
)
async def test_what_was_asked_before_a_refusal_does_not_hide_it_and_what_is_asked_after_it_does(
    models: ModelWorld, status: int, kind: str, limit: str
) -> None:
    """Agents ask for titles beside their work, which are answered when the work is refused."""
    held = Answer(message_events("claude-opus-5-5", 10, 1), headers=STREAM, hold_at=1)
    models.vendor.answers = [held, refusal(status, kind), GOOD]
    turn = await models.turn()
    beside = asyncio.ensure_future(turn.ask())
    await models.vendor.holding.wait()
    assert (await turn.ask()).status_code == status
    models.vendor.go_on.set()
    assert (await beside).status_code == 200
    assert (await turn.spending())["limit"]["kind"] == limit
    assert (await turn.ask()).status_code == 200
    assert (await turn.spending())["limit"] is None


async def test_no_agent_is_told_to_wait_longer_than_the_proxy_would(models: ModelWorld) -> None:
    told = {"retry-after": "7200", "retry-after-ms": "7200000", "x-should-retry": "true", "request-id": "r-1"}
    models.vendor.answers = [refusal(429, "rate_limit_error", **told)]
    turn = await models.turn()
    reply = await turn.ask()
    assert reply.status_code == 429
    assert not {"retry-after", "retry-after-ms", "x-should-retry"} & set(reply.headers)
    assert reply.headers["request-id"] == "r-1"
    assert (await turn.ask()).status_code == 402
    assert (await turn.spending())["limit"]["kind"] == "window"


async def test_a_second_run_of_the_activity_still_hears_what_has_stopped_the_turn(models: ModelWorld) -> None:
    models.vendor.answers = [refusal(529, "overloaded_error")]
    turn = await models.turn()
    await turn.ask()
    opened = await again(models, turn)
    assert opened.opened["refused"] is None, "what has begun is followed to its end"
    assert (await turn.spending())["limit"]["kind"] == "outage"
    assert (await turn.ask()).status_code == 402
    assert len(models.vendor.asked) == 1


async def test_a_turn_that_has_asked_nothing_yet_is_judged_anew(models: ModelWorld) -> None:
    models.vendor.answers = [refusal(429, "rate_limit_error", **{"retry-after": "7200"})]
    await (await models.turn()).ask()
    refused = await models.turn(model="claude-opus-5-5")
    assert refused.opened["refused"]["kind"] == "window"
    await models.api.execute("DELETE FROM model_accounts")
    await models.api.execute("DELETE FROM model_windows")
    assert (await again(models, refused)).opened["refused"] is None
    assert (await refused.spending())["limit"] is None


OTHER = "claude-haiku-4-5"


async def test_a_limit_of_one_model_leaves_the_others_of_the_account_alone(models: ModelWorld) -> None:
    models.vendor.answers = [refusal(429, "rate_limit_error", **{"retry-after": "7200"}), GOOD]
    turn, other = await models.turn(), await models.turn()
    assert (await turn.ask()).status_code == 429
    assert (await other.ask(model=OTHER)).status_code == 200
    assert (await other.ask()).status_code == 402, "nobody asks for the limited one"
    assert len(models.vendor.asked) == 2
    # as a process after this one
    models.proxy.accounts.accounts["anthropic"].limits.clear()
    await models.proxy.accounts.remember()
    third = await models.turn()
    assert [(await third.ask(model=model)).status_code for model in ("claude-opus-5-5", OTHER)] == [402, 200]


@pytest.mark.parametrize(
    ("way", "kind", "headers"),
    [
        (MESSAGES, "rate_limit_error", {"anthropic-ratelimit-unified-status": "rejected"}),
        (RESPONSES, "usage_limit_reached", {}),
    ],
)
async def test_a_limit_of_the_account_holds_for_each_of_its_models(
    models: ModelWorld, way: tuple[str, str], kind: str, headers: dict[str, str]
) -> None:
    models.vendor.answers = [refusal(429, kind, **{"retry-after": "7200"}, **headers), GOOD]
    turn = await models.turn()
    assert (await turn.ask(*way)).status_code == 429
    assert (await turn.ask(way[0], "another-model")).status_code in {400, 402}
    assert len(models.vendor.asked) == 1


async def test_the_window_of_a_subscription_for_one_model_is_no_window_of_the_account(models: ModelWorld) -> None:
    claim = {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-representative-claim": "seven_day_opus",
    }
    models.vendor.answers = [refusal(429, "rate_limit_error", **{"retry-after": "7200"}, **claim), GOOD]
    turn = await models.turn()
    assert (await turn.ask()).status_code == 429
    assert (await turn.ask(model=OTHER)).status_code == 200
    assert (await turn.ask()).status_code == 402


@pytest.mark.parametrize("name", ["x" * 5_000, "a\tb", "\xe4\xff"])
async def test_what_a_vendor_calls_a_request_never_keeps_its_row_from_being_written(
    models: ModelWorld, name: str
) -> None:
    models.vendor.answers = [refusal(400, "invalid_request_error", **{"request-id": name}), GOOD]
    turn = await models.turn()
    async with asyncio.timeout(4):
        assert (await turn.ask()).status_code == 400
    assert (await turn.spending())["open_requests"] == 0
    assert len((await models.requests(turn))[0]["upstream_id"] or "") <= 200


async def test_a_row_that_the_database_refuses_is_written_in_its_barest_form(
    models: ModelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "storable_name", lambda name: "\0" if name else None)
    models.vendor.answers = [GOOD]
    turn = await models.turn()
    async with asyncio.timeout(4):
        assert (await turn.ask()).status_code == 200
    [row] = await models.requests(turn)
    assert (row["state"], row["known"], row["cost_usd"] > 0) == ("answered", False, True)
