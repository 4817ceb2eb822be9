"""What a request may cost is held back before it is sent, and no way of leaving it makes it cheaper than it was."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from api.model_proxy import app, exchange, ledger
from tests.integration.api.models.conftest import ModelWorld, Turn, modelled
from tests.support.eventually import eventually
from tests.support.vendor import STREAM, Answer, chat_chunks, message_events, response_events

# 4 dollars for a million tokens sent and 20 for a million received; 19 for a million of each.
OPUS, SOL = "claude-opus-5-5", "gpt-6.1-sol"
JSON = {"content-type": "application/json"}


def whole(sent: int, received: int) -> bytes:
    usage = {"input_tokens": sent, "output_tokens": received}
    return json.dumps({"id": "msg_1", "type": "message", "model": OPUS, "content": [], "usage": usage}).encode()


async def left(models: ModelWorld, turn: Turn, *way: str, **fields: Any) -> None:
    """Ask, and leave while the vendor answers."""
    asking = asyncio.ensure_future(turn.ask(*way, **fields))
    await models.vendor.holding.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def ended(turn: Turn) -> Any:
    async def found() -> Any:
        spent = await turn.spending()
        return spent if spent["requests"] and not spent["open_requests"] else None

    return await eventually(found)


async def test_parallel_requests_never_reserve_more_than_the_budget(models: ModelWorld) -> None:
    await models.set("task_budget_usd", 1)
    models.vendor.stream(message_events(OPUS, 100, 10), hold_at=1)
    turn = await models.turn()
    # 32,000 tokens are 64 cents: a second one does not fit beside the first.
    asking = [asyncio.ensure_future(turn.ask(max_tokens=32_000)) for _ in range(5)]
    await models.vendor.holding.wait()
    await asyncio.sleep(0.3)
    assert (len(models.vendor.asked), (await turn.spending())["open_requests"]) == (1, 1)
    assert (await turn.spending())["cost_usd"] < 0.03, "people are shown what it will probably cost"
    models.vendor.go_on.set()
    assert {reply.status_code for reply in await asyncio.gather(*asking)} == {200}
    assert models.vendor.most_open == 1


async def test_what_fits_is_sent_at_once_beside_each_other(models: ModelWorld) -> None:
    await models.set("task_budget_usd", 10)
    models.vendor.stream(message_events(OPUS, 100, 10), hold_at=1)
    turn = await models.turn()
    asking = [asyncio.ensure_future(turn.ask(max_tokens=32_000)) for _ in range(5)]
    await eventually(lambda: models.vendor.open == 5)
    models.vendor.go_on.set()
    assert {reply.status_code for reply in await asyncio.gather(*asking)} == {200}


async def test_an_agent_that_asks_for_more_than_is_left_is_still_answered_one_at_a_time(models: ModelWorld) -> None:
    await models.set("task_budget_usd", 0.08)
    models.vendor.stream(message_events(OPUS, 1000, 1000))
    turn = await models.turn()
    # 2.4 cents each: three fit, the fourth goes beyond.
    statuses = [(await turn.ask(max_tokens=64_000)).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 200, 402]


async def test_small_requests_do_not_overtake_a_large_one_for_ever(models: ModelWorld) -> None:
    await models.set("task_budget_usd", 1)
    turn = await models.turn()
    models.vendor.stream(message_events(OPUS, 10, 10), hold_at=1)
    first = asyncio.ensure_future(turn.ask(max_tokens=1_000))
    await models.vendor.holding.wait()
    large = asyncio.ensure_future(turn.ask(max_tokens=64_000))
    await eventually(lambda: len(models.proxy.ledger._waiting) == 1)
    small = asyncio.ensure_future(turn.ask(max_tokens=999))
    await eventually(lambda: len(models.proxy.ledger._waiting) == 2)
    models.vendor.go_on.set()
    assert {reply.status_code for reply in await asyncio.gather(first, large, small)} == {200}
    assert [json.loads(asked.body)["max_tokens"] for asked in models.vendor.asked] == [1_000, 64_000, 999]
    assert models.proxy.ledger._waiting == {}


async def test_a_task_that_waits_for_its_budget_keeps_no_place_of_the_account(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with modelled(tmp_path_factory.mktemp("places"), model_requests=2) as models:
        await models.set("task_budget_usd", 1)
        models.vendor.answers = [Answer(message_events(OPUS, 10, 10), headers=STREAM, hold_at=1)]
        poor = await models.turn()
        asking = [asyncio.ensure_future(poor.ask(max_tokens=64_000)) for _ in range(3)]
        await models.vendor.holding.wait()
        await eventually(lambda: len(models.proxy.ledger._waiting) == 2)
        models.vendor.answers = [Answer(message_events(OPUS, 10, 10), headers=STREAM)]
        assert (await (await models.turn()).ask()).status_code == 200
        models.vendor.go_on.set()
        await asyncio.gather(*asking)


@pytest.mark.parametrize(
    ("way", "events"),
    [
        (("/v1/messages", OPUS), message_events(OPUS, 10, 5, text="word " * 8_000)),
        (
            ("/v1/responses", SOL),
            [
                response_events(SOL, 1, 1)[0],
                *(
                    b'data: {"type":"response.output_text.delta","delta":"%s"}\n\n' % (b"word " * 100)
                    for _ in range(80)
                ),
                b"data: {}\n\n",
            ],
        ),
        (
            ("/v1/chat/completions", SOL),
            [
                *(
                    b'data: {"model":"m","choices":[{"delta":{"content":"%s"}}]}\n\n' % (b"word " * 100)
                    for _ in range(80)
                ),
                b"data: {}\n\n",
            ],
        ),
    ],
)
async def test_a_stream_that_is_left_before_its_end_counts_what_was_written(
    models: ModelWorld, way: tuple[str, str], events: list[bytes]
) -> None:
    # 40,000 letters: 10,000 tokens.
    models.vendor.stream(events, hold_at=len(events) - 1)
    turn = await models.turn()
    await left(models, turn, *way, max_tokens=20_000, max_output_tokens=20_000)
    spent = await ended(turn)
    assert spent["unknown_requests"] == 1
    assert spent["cost_usd"] > 9_000 * 10e-6


async def test_a_loop_that_leaves_every_stream_is_stopped_by_its_budget_all_the_same(models: ModelWorld) -> None:
    await models.set("task_budget_usd", 0.5)
    turn = await models.turn()
    for _ in range(3):
        models.vendor.reset()
        events = message_events(OPUS, 10, 5, text="word " * 8_000)
        models.vendor.stream(events, hold_at=4)
        asking = asyncio.ensure_future(turn.ask(max_tokens=32_000))
        await models.vendor.holding.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await ended(turn)
    assert (await turn.ask()).status_code == 402
    assert (await turn.spending())["cost_usd"] > 0.5


async def test_a_model_that_thinks_where_nobody_sees_it_counts_by_its_time(
    models: ModelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_TOKENS_PER_S", 1_000_000)
    models.vendor.stream(response_events(SOL, 10, 10), hold_at=1)
    turn = await models.turn()
    await left(models, turn, "/v1/responses", SOL, max_output_tokens=5_000)
    most = float(models.proxy.prices.estimate("openai", SOL, 100, 5_000))
    assert (await ended(turn))["cost_usd"] == pytest.approx(most, rel=0.1)


async def test_what_is_no_stream_is_read_to_its_end_when_its_client_has_left(models: ModelWorld) -> None:
    models.vendor.answers = [Answer([whole(1000, 2000)], headers=JSON, hold_at=0)]
    turn = await models.turn()
    await left(models, turn, stream=False, max_tokens=32_000)
    assert (await turn.spending())["open_requests"] == 1, "budgets go on holding it back"
    models.vendor.go_on.set()
    spent = await ended(turn)
    assert (spent["output_tokens"], spent["unknown_requests"]) == (2000, 0)


async def test_what_is_no_stream_and_takes_too_long_counts_in_full(
    models: ModelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "GOES_ON_S", 0.2)
    models.vendor.answers = [Answer([whole(1000, 2000)], headers=JSON, hold_at=0)]
    turn = await models.turn()
    await left(models, turn, stream=False, max_tokens=32_000)
    spent = await ended(turn)
    assert (spent["unknown_requests"], spent["cost_usd"] >= 0.64) == (1, True)


async def test_a_silent_answer_of_many_words_counts_as_many(models: ModelWorld) -> None:
    chunk = b'data: {"model":"m","choices":[{"delta":{"content":"%s"}}]}\n\n' % (b"word " * 8_000)
    models.vendor.stream([chunk, *chat_chunks(SOL, 1, 1, with_usage=False)])
    turn = await models.turn()
    assert (await turn.ask("/v1/chat/completions", SOL, max_tokens=20_000)).status_code == 200
    assert (await turn.spending())["cost_usd"] > 9_000 * 10e-6


async def test_what_waits_for_its_budget_too_long_is_stopped_in_words_and_goes_on_when_it_is_raised(
    models: ModelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "_RESERVED_S", 0.5)
    monkeypatch.setattr(ledger, "_LOOK_AGAIN_S", 0.2)
    await models.set("task_budget_usd", 1)
    models.vendor.stream(message_events(OPUS, 10, 10), hold_at=1)
    turn = await models.turn()
    first = asyncio.ensure_future(turn.ask(max_tokens=64_000))
    await models.vendor.holding.wait()
    stopped = await turn.ask()
    assert (stopped.status_code, "may still cost: $0.00 of $1.00" in stopped.text) == (402, True), stopped.text
    monkeypatch.setattr(ledger, "_RESERVED_S", 60)
    second = asyncio.ensure_future(turn.ask())
    await eventually(lambda: len(models.proxy.ledger._waiting) == 1)
    await models.set("task_budget_usd", 10)
    await eventually(lambda: len(models.vendor.asked) == 2)
    models.vendor.go_on.set()
    assert {reply.status_code for reply in await asyncio.gather(first, second)} == {200}


async def test_a_request_that_is_never_sent_holds_nothing_back(models: ModelWorld) -> None:
    refusal = b'{"type":"error","error":{"type":"rate_limit_error","message":"Later."}}'
    models.vendor.answers = [Answer([refusal], 429, {"retry-after": "7200"} | JSON)]
    turn = await models.turn()
    assert [(await turn.ask()).status_code for _ in range(3)] == [429, 402, 402]
    assert len(await models.requests(turn)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"background": True},
        {"service_tier": "priority"},
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
    ],
)
async def test_what_would_run_or_cost_without_the_proxy_is_refused(models: ModelWorld, fields: dict[str, Any]) -> None:
    turn = await models.turn()
    reply = await turn.ask("/v1/responses", SOL, **fields)
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
    assert (models.vendor.asked, await models.requests(turn)) == ([], [])


async def test_no_limit_is_hidden_behind_a_second_one(models: ModelWorld) -> None:
    turn = await models.turn()
    body = b'{"model": "claude-opus-5-5", "max_tokens": 32000, "max_tokens": 1}'
    reply = await models.http.post("/v1/messages", content=body, headers=turn.headers)
    assert (reply.status_code, "twice" in reply.text) == (400, True)
    assert models.vendor.asked == []
