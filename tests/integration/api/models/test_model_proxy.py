"""The model proxy between an agent and a vendor: bytes, keys, tokens, money."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.api.models.conftest import KEYS, ModelWorld, modelled
from tests.support.eventually import eventually
from tests.support.vendor import STREAM, Answer, chat_chunks, message_events, response_events


async def test_bytes_pass_untouched_and_only_the_vendor_sees_the_real_key(models: ModelWorld) -> None:
    turn = await models.turn()
    events = message_events("claude-opus-5-5", 100, 20, text='an "odd"  text \u2028 \\u0000')
    models.vendor.stream(events)
    body = b'{"model": "claude-opus-5-5",  "stream":true, "messages": [{"role": "user", "content": "\\u00e4 "}]}'
    headers = {
        **turn.headers, "anthropic-version": "2023-06-01", "anthropic-beta": "some-beta", "cookie": "a=b",
        "authorization": f"Bearer {turn.opened['token']}", "openai-organization": "mine",
        "content-type": "application/json",
    }  # fmt: skip
    reply = await models.http.post("/v1/messages?beta=true", content=body, headers=headers)
    assert (reply.status_code, reply.content) == (200, b"".join(events))
    assert reply.headers["content-type"] == "text/event-stream"
    [asked] = models.vendor.asked
    assert (asked.path, asked.body) == ("/v1/messages?beta=true", body)
    assert asked.headers["x-api-key"] == KEYS["anthropic_api_key"]
    assert (asked.headers["anthropic-version"], asked.headers["anthropic-beta"]) == ("2023-06-01", "some-beta")
    assert not {"cookie", "authorization", "openai-organization"} & asked.headers.keys()
    assert turn.opened["token"] not in str(asked.headers)
    assert KEYS["anthropic_api_key"] not in str(reply.headers)


@pytest.mark.parametrize(
    ("path", "upstream", "events", "counted"),
    [
        (
            "/v1/messages", "/v1/messages",
            message_events("claude-opus-5-5", 100, 20, cache_read_input_tokens=7, cache_creation_input_tokens=3),
            (100, 20, 7, 3),
        ),
        ("/v1/responses", "/v1/responses", response_events("gpt-6.1-sol", 100, 20, cached=60), (40, 20, 60, 0)),
        ("/v1/chat/completions", "/v1/chat/completions", chat_chunks("gpt-6.1-sol", 100, 20), (100, 20, 0, 0)),
    ],
)  # fmt: skip
async def test_what_was_used_is_what_the_vendor_says_to_the_token(
    models: ModelWorld, path: str, upstream: str, events: list[bytes], counted: tuple[int, ...]
) -> None:
    turn = await models.turn()
    models.vendor.stream(events)
    model = "claude-opus-5-5" if path == "/v1/messages" else "gpt-6.1-sol"
    for _ in range(3):
        reply = await turn.ask(path, model)
        assert reply.content == b"".join(events)
    assert {asked.path for asked in models.vendor.asked} == {upstream}
    spent = await turn.spending()
    kinds = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    assert tuple(spent[kind] for kind in kinds) == tuple(3 * count for count in counted)
    assert (spent["requests"], spent["open_requests"], spent["unknown_requests"]) == (3, 0, 0)
    assert (spent["last_status"], spent["limit"]) == (200, None)
    [use] = spent["by_model"]
    assert (use["model"], use["price_known"]) == (model, True)
    assert spent["cost_usd"] == pytest.approx(use["cost_usd"])
    assert spent["cost_usd"] > 0


async def test_a_turn_gets_the_same_token_again_and_none_when_it_has_ended(models: ModelWorld) -> None:
    turn = await models.turn()
    again = await models.turn(**turn.body)
    assert again.opened == turn.opened
    assert turn.opened["token"].startswith("omt-")
    models.vendor.stream(message_events("claude-opus-5-5", 1, 1))
    assert (await turn.ask()).status_code == 200
    other = await models.api.http.post(
        "/internal/model-turns", json={**turn.body, "task_id": "another"}, headers=models.api.platform
    )
    assert (other.status_code, other.json()["code"]) == (409, "CONFLICT")
    path = f"/internal/model-turns/{turn.body['worker_id']}/1/end"
    assert (await models.api.http.post(path, headers=models.api.platform)).json()["requests"] == 1
    refused = await turn.ask()
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    assert (await models.turn(**turn.body)).opened == turn.opened
    assert (await turn.ask()).status_code == 200
    change = "UPDATE model_turns SET opened_at = now() - interval '26 hours' WHERE worker_id = $1"
    await models.api.execute(change, turn.body["worker_id"])
    assert (await turn.ask()).status_code == 401
    _, person = await models.api.new_user("admin")
    assert (await models.api.http.post("/internal/model-turns", json=turn.body, headers=person)).status_code == 403


async def test_a_loop_is_stopped_within_one_request_and_goes_on_after_a_raise(models: ModelWorld) -> None:
    # 1,000 tokens in, 100 out: 0.6 cents.
    await models.set("task_budget_usd", 0.02)
    models.vendor.stream(message_events("claude-opus-5-5", 1000, 100))
    turn = await models.turn()
    statuses = []
    while not statuses or statuses[-1] == 200:
        statuses.append((reply := await turn.ask()).status_code)
    assert statuses == [200, 200, 200, 200, 402]
    assert reply.json()["error"]["type"] == "billing_error"
    assert "The budget of the task is spent: $0.0240 of $0.0200" in reply.json()["error"]["message"]
    assert len(models.vendor.asked) == 4
    limit = (await turn.spending())["limit"]
    assert (limit["kind"], limit["scope"], limit["scope_id"]) == ("budget", "task", turn.body["task_id"])
    assert (limit["spent_usd"], limit["limit_usd"], limit["warning"]) == (0.024, 0.02, False)
    following = await models.turn(**{**turn.body, "turn": 2})
    assert following.opened["refused"]["scope"] == "task"
    for path, model in (("/v1/responses", "gpt-6.1-sol"), ("/v1/chat/completions", "gpt-6.1-sol")):
        stopped = await following.ask(path, model)
        assert (stopped.status_code, "budget" in stopped.json()["error"]["message"]) == (400, True)

    raised = {"request_id": "answer-1", "scope": "task", "scope_id": turn.body["task_id"], "add_usd": 0.02, "by": 1}
    for _ in range(2):
        reply = await models.api.http.post("/internal/model-budgets", json=raised, headers=models.api.platform)
        assert (reply.status_code, reply.json()["limit_usd"]) == (200, pytest.approx(0.04)), reply.text
    other = await models.api.http.post(
        "/internal/model-budgets", json={**raised, "add_usd": 5}, headers=models.api.platform
    )
    assert other.status_code == 409
    assert (await models.turn(**following.body)).opened["refused"] is None
    assert (await following.ask()).status_code == 200
    # 0.03 of 0.04: below 80 %; one more is above.
    assert (await following.spending())["limit"] is None
    assert (await following.ask()).status_code == 200
    warned = (await following.spending())["limit"]
    assert (warned["kind"], warned["warning"], warned["spent_usd"]) == ("budget", True, 0.036)
    [told] = await models.api.rows(
        "SELECT * FROM audit WHERE action = 'model_budget.raise' AND result = 'done' LIMIT 1"
    )
    assert told["target"] == f"task/{turn.body['task_id']}"


async def test_twenty_at_once_never_spend_the_same_rest_of_a_budget(models: ModelWorld) -> None:
    await models.set("task_budget_usd", 0.03)
    models.vendor.stream(message_events("claude-opus-5-5", 1000, 100), hold_at=1)
    turn = await models.turn()
    # As large as what the vendor bills: 1,000 tokens.
    said = [{"role": "user", "content": "word" * 1_000}]
    asking = [asyncio.ensure_future(turn.ask(messages=said)) for _ in range(20)]
    await models.vendor.holding.wait()
    models.vendor.go_on.set()
    statuses = [reply.status_code for reply in await asyncio.gather(*asking)]
    spent = await turn.spending()
    assert len(models.vendor.asked) == statuses.count(200) == spent["requests"] == 5
    assert statuses.count(402) == 15
    assert spent["cost_usd"] == pytest.approx(0.03)


async def test_an_account_answers_only_so_many_requests_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with modelled(tmp_path_factory.mktemp("few"), model_requests=3) as models:
        models.vendor.stream(message_events("claude-opus-5-5", 10, 1), hold_at=1)
        turns = await asyncio.gather(*(models.turn() for _ in range(20)))
        asking = [asyncio.ensure_future(turn.ask()) for turn in turns]
        await eventually(lambda: models.vendor.open == 3)
        models.vendor.go_on.set()
        assert {reply.status_code for reply in await asyncio.gather(*asking)} == {200}
        assert models.vendor.most_open == 3
        assert [(await turn.spending())["requests"] for turn in turns] == [1] * 20


async def test_a_client_that_leaves_ends_the_request_to_the_vendor_and_pays_what_is_known(models: ModelWorld) -> None:
    models.vendor.stream(message_events("claude-opus-5-5", 1000, 500), hold_at=2)
    turn = await models.turn()
    asking = asyncio.ensure_future(turn.ask())
    await models.vendor.holding.wait()
    assert (await turn.spending())["open_requests"] == 1
    asking.cancel()
    async with asyncio.timeout(10):
        await models.vendor.left.wait()

    async def written() -> bool:
        return not (await turn.spending())["open_requests"]

    await eventually(written)
    spent = await turn.spending()
    assert (spent["input_tokens"], spent["output_tokens"], spent["unknown_requests"]) == (1000, 1, 1)
    [row] = await models.requests(turn)
    assert (row["state"], row["known"]) == ("partial", False)


async def test_an_answer_that_is_cut_off_is_cut_off_for_the_agent_too(models: ModelWorld) -> None:
    models.vendor.stream(message_events("claude-opus-5-5", 1000, 500)[:3], cut=True)
    turn = await models.turn()
    with pytest.raises(Exception, match=r"incomplete|peer closed"):
        await turn.ask()
    [row] = await models.requests(turn)
    assert (row["state"], row["known"], row["input_tokens"]) == ("partial", False, 1000)


async def test_a_window_is_heard_once_and_nobody_asks_the_vendor_before_it_opens(models: ModelWorld) -> None:
    refusal = b'{"type":"error","error":{"type":"rate_limit_error","message":"Usage limit reached."}}'
    models.vendor.answers = [Answer([refusal], 429, {"retry-after": "7200", "content-type": "application/json"})]
    turn, other = await models.turn(), await models.turn()
    first = await turn.ask()
    assert (first.status_code, first.content) == (429, refusal)
    for one in (turn, other):
        stopped = await one.ask()
        assert (stopped.status_code, "Usage limit reached" in stopped.text) == (402, True)
    assert len(models.vendor.asked) == 1
    limit = (await other.spending())["limit"]
    assert (limit["kind"], limit["account"], limit["until"] is not None) == ("window", "anthropic", True)
    spent = await turn.spending()
    assert (spent["requests"], spent["cost_usd"], spent["last_status"]) == (1, 0, 429)
    later = await models.turn(model="claude-opus-5-5")
    assert later.opened["refused"]["kind"] == "window"
    assert (await models.turn(model="claude-haiku-4-5")).opened["refused"] is None
    assert (await models.turn(agent="codex")).opened["refused"] is None


async def test_a_short_limit_is_waited_for_in_the_proxy(models: ModelWorld) -> None:
    good = Answer(message_events("claude-opus-5-5", 10, 1), headers=STREAM)
    models.vendor.answers = [Answer([b"{}"], 429, {"retry-after": "1"}), good]
    turn = await models.turn()
    assert [(await turn.ask()).status_code for _ in range(2)] == [429, 200]
    assert (await turn.spending())["limit"] is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}', "auth"),
        (403, b'{"type":"error","error":{"type":"permission_error","message":"no"}}', "auth"),
        (400, b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"}}', "request"),
        (529, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', "outage"),
        (500, b"not even JSON", "outage"),
    ],
)
async def test_a_refusal_passes_as_it_is_and_says_what_stops_the_turn(
    models: ModelWorld, status: int, body: bytes, kind: str
) -> None:
    models.vendor.answers = [Answer([body], status, {"content-type": "application/json"})]
    turn = await models.turn()
    reply = await turn.ask()
    assert (reply.status_code, reply.content) == (status, body)
    spent = await turn.spending()
    assert (spent["limit"]["kind"], spent["last_status"], spent["cost_usd"]) == (kind, status, 0)


async def test_a_refusal_that_repeats_the_key_does_not_pass_it_on(models: ModelWorld) -> None:
    key = KEYS["openai_api_key"]
    models.vendor.answers = [Answer([f'{{"error": {{"message": "bad key {key}"}}}}'.encode()], 401, {"x-debug": key})]
    turn = await models.turn()
    reply = await turn.ask("/v1/responses", "gpt-6.1-sol")
    assert reply.status_code == 401
    assert key not in reply.text + str(reply.headers)
    assert key not in str(await turn.spending())


async def test_an_error_inside_of_a_stream_is_one(models: ModelWorld) -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    models.vendor.stream([*message_events("claude-opus-5-5", 50, 9)[:3], error])
    turn = await models.turn()
    await turn.ask()
    spent = await turn.spending()
    assert (spent["limit"]["kind"], spent["input_tokens"], spent["unknown_requests"]) == ("outage", 50, 1)


async def test_unknown_prices_and_silent_answers_count_and_are_shown_as_unknown(models: ModelWorld) -> None:
    turn = await models.turn()
    models.vendor.stream(message_events("house-model", 1_000_000, 0))
    await turn.ask(model="house-model")
    spent = await turn.spending()
    assert (spent["cost_usd"], spent["unknown_requests"]) == (pytest.approx(10, rel=0.01), 1)
    assert spent["by_model"][0]["price_known"] is False
    models.vendor.stream(chat_chunks("gpt-6.1-sol", 10, 10, with_usage=False))
    other = await models.turn()
    await other.ask("/v1/chat/completions", "gpt-6.1-sol")
    spent = await other.spending()
    assert spent["cost_usd"] > 0
    assert (spent["unknown_requests"], spent["output_tokens"]) == (1, 0)


async def test_what_is_no_request_is_refused_in_the_shape_of_its_api(models: ModelWorld) -> None:
    turn = await models.turn()
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("/v1/messages", {"json": {"model": "m"}}, 401),
        ("/v1/messages", {"content": b"[]", "headers": turn.headers}, 400),
        ("/v1/messages", {"content": b"\xff", "headers": turn.headers}, 400),
        ("/v1/chat/completions", {"json": {"model": 7}, "headers": turn.headers}, 400),
        ("/v1/messages", {"content": b'{"model": "m", "x": ' + b"[" * 100_000, "headers": turn.headers}, 400),
        ("/v1/messages", {"content": b'{"model": "m", "model": "other"}', "headers": turn.headers}, 400),
        ("/v1/embeddings", {"json": {}, "headers": turn.headers}, 404),
        ("/v1/responses", {"content": b"x" * 33_000_000, "headers": turn.headers}, 413),
    ]
    for path, request, status in cases:
        reply = await models.http.post(path, **request)
        assert reply.status_code == status, path
        assert reply.json()["error"]["message"]
        assert (reply.json().get("type") == "error") == (path == "/v1/messages")
    assert (await models.http.get("/v1/messages")).status_code == 405
    assert models.vendor.asked == []
    assert await models.requests(turn) == []


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
async def test_nothing_is_kept_of_a_body_before_the_token_is_known(
    models: ModelWorld, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def kept(*_: object) -> bytes:
        raise AssertionError("the body was read")

    monkeypatch.setattr("api.model_proxy.admission.bodies.Upload.read", kept)
    for headers in ({}, {"x-api-key": "omt-of-nobody"}):
        reply = await models.http.post(path, content=b"x" * 5_000_000, headers=headers)
        assert (reply.status_code, bool(reply.json()["error"]["message"])) == (401, True)


async def test_a_turn_that_hangs_on_every_answer_leaves_half_of_the_places_to_others(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with modelled(tmp_path_factory.mktemp("share"), model_requests=4) as models:
        models.vendor.stream(message_events("claude-opus-5-5", 10, 1), hold_at=1)
        greedy, other = await models.turn(), await models.turn()
        asking = [asyncio.ensure_future(greedy.ask()) for _ in range(8)]
        await eventually(lambda: models.vendor.open == 2)
        another = asyncio.ensure_future(other.ask())
        await eventually(lambda: models.vendor.open == 3)
        # Those that wait leave, and nothing of them stays behind.
        for one in asking[2:]:
            one.cancel()
        await asyncio.gather(*asking[2:], return_exceptions=True)
        models.vendor.go_on.set()
        assert (await another).status_code == 200
        await asyncio.gather(*asking, return_exceptions=True)
        await eventually(lambda: not models.proxy._open)
        assert not models.proxy.accounts.accounts["anthropic"].places._waiting


async def test_to_count_tokens_is_free_and_no_row(models: ModelWorld) -> None:
    models.vendor.answers = [Answer([b'{"input_tokens": 12}'], headers={"content-type": "application/json"})]
    turn = await models.turn()
    reply = await models.http.post("/v1/messages/count_tokens", json={"model": "claude-opus-5-5"}, headers=turn.headers)
    assert (reply.status_code, reply.json()) == (200, {"input_tokens": 12})
    assert (await turn.spending())["requests"] == 0


async def test_a_reviewer_that_is_another_agent_is_not_given_the_model_of_the_first(models: ModelWorld) -> None:
    await models.set("agent", "claude-code")
    await models.set("model", "claude-opus-5-5")
    expected = {
        ("claude-code", None): "claude-opus-5-5",
        ("codex", None): None,
        ("codex", "gpt-6.2-sol"): "gpt-6.2-sol",
    }
    for (agent, model), given in expected.items():
        turn = await models.turn(agent=agent, role="reviewer", model=model)
        assert turn.opened["model"] == given
    developer = await models.turn(agent="codex")
    assert developer.opened["model"] == "claude-opus-5-5"
