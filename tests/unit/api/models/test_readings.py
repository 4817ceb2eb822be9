"""What the proxy reads in answers: sums that a vendor says, however its bytes arrive, and nothing that is no number."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.model_proxy.apis import BY_PATH
from api.model_proxy.limits import limit_of
from api.model_proxy.prices import Prices
from api.model_proxy.reading import MAX_LINE, Reading
from api.model_proxy.usage import TokenUse
from tests.support.vendor import chat_chunks, message_events, response_events

STREAM = "text/event-stream; charset=utf-8"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
PRICES = Prices(Decimal(10), Decimal(50))
STREAMS = {
    "/v1/messages": (
        message_events("m", 100, 20, cache_read_input_tokens=7, cache_creation_input_tokens=3),
        TokenUse(100, 20, 7, 3),
    ),
    "/v1/responses": (response_events("m", 100, 20, cached=60), TokenUse(40, 20, 60)),
    "/v1/chat/completions": (chat_chunks("m", 100, 20), TokenUse(100, 20)),
}


def read(path: str, *chunks: bytes, content_type: str = STREAM, encoding: str = "") -> Reading:
    reader = BY_PATH[path].reader(content_type, encoding)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.close()


@pytest.mark.parametrize("path", STREAMS)
@given(cuts=st.lists(st.integers(0, 2_000), max_size=8))
def test_the_use_is_the_same_wherever_the_bytes_are_cut(path: str, cuts: list[int]) -> None:
    events, use = STREAMS[path]
    whole = b"".join(events)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    chunks = [whole[begin:end] for begin, end in pairwise(places)]
    reading = read(path, *chunks)
    assert (reading.use, reading.whole, reading.error, reading.model) == (use, True, None, "m")


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_with_the_line_ends_of_windows_or_compressed_is_read_too(path: str) -> None:
    events, use = STREAMS[path]
    whole = b"".join(events)
    assert read(path, whole.replace(b"\n", b"\r\n")).use == use
    assert read(path, gzip.compress(whole), encoding="gzip").use == use
    unreadable = read(path, whole, encoding="br")
    assert (unreadable.use, unreadable.whole) == (None, False)


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_that_ends_early_is_not_whole(path: str) -> None:
    events, _ = STREAMS[path]
    assert not read(path, *events[:-1]).whole


@pytest.mark.parametrize("number", [-1, 1.5, True, "7", 10**10, [], {}])
def test_what_is_no_count_makes_the_use_unknown(number: object) -> None:
    event = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": number, "output_tokens": 1}}}
    rest = b"".join(message_events("m", 1, 1)[1:])
    assert read("/v1/messages", f"data: {json.dumps(event)}\n\n".encode(), rest).spoiled
    document = {"object": "chat.completion", "model": "m", "usage": {"prompt_tokens": number, "completion_tokens": 1}}
    found = read("/v1/chat/completions", json.dumps(document).encode(), content_type="application/json")
    assert (found.use, found.spoiled, found.whole) == (None, True, True)


@given(st.binary(max_size=300))
def test_no_bytes_stop_the_reading(junk: bytes) -> None:
    for path in STREAMS:
        for content_type in (STREAM, "application/json"):
            read(path, b"data: " + junk + b"\n\n", junk, content_type=content_type)
            read(path, junk, content_type=content_type, encoding="gzip")


def test_a_line_without_end_takes_no_memory_and_the_next_is_read() -> None:
    reader = BY_PATH["/v1/messages"].reader(STREAM, "")
    for _ in range(3):
        reader.feed(b"x" * (MAX_LINE // 2))
    reader.feed(b"\n" + b"".join(message_events("m", 5, 6)))
    assert reader.close().use == TokenUse(5, 6)


def test_text_that_looks_like_use_is_text() -> None:
    text = '", "usage": {"output_tokens": 999999}, "x": "\ndata: {"type":"message_stop"}'
    assert read("/v1/messages", *message_events("m", 5, 6, text=text)).use == TokenUse(5, 6)


def test_use_of_a_cache_has_its_own_price() -> None:
    def usd(**use: int) -> Decimal:
        found = PRICES.price("anthropic", "claude-opus-5-5", TokenUse(**use))
        assert found.known
        return found.usd

    million = 1_000_000
    assert usd(input=million) == 4
    assert usd(output=million) == 20
    assert usd(cache_read=million) == Decimal("0.2")
    assert usd(cache_write=million) == 5
    assert usd(cache_write=million, cache_write_1h=million) == 8
    unknown = PRICES.price("anthropic", "house-model", TokenUse(input=million, output=million))
    assert (unknown.usd, unknown.known) == (60, False)
    assert PRICES.price("openai", "claude-opus-5-5", TokenUse(input=million)).usd == 4


@pytest.mark.parametrize(
    ("status", "headers", "error", "kind", "wait_s"),
    [
        (429, {"retry-after": "20"}, None, "rate", 20),
        (429, {"retry-after": "7200"}, None, "window", 7200),
        (429, {"retry-after": "Mon, 30 Nov 2026 13:00:00 GMT"}, None, "window", 3600),
        (429, {"retry-after-ms": "1500"}, None, "rate", 1.5),
        (429, {"anthropic-ratelimit-unified-reset": str(int(NOW.timestamp()) + 9000)}, None, "window", 9000),
        (
            429,
            {
                "anthropic-ratelimit-requests-remaining": "9",
                "anthropic-ratelimit-requests-reset": "2026-11-30T18:00:00Z",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-11-30T12:00:40Z",
            },
            None, "rate", 40,
        ),
        (429, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, None, "window", 360),
        (429, {}, None, "rate", 30),
        (429, {"retry-after": "nan"}, None, "rate", 30),
        (429, {"retry-after": "-5"}, None, "rate", 1),
        (429, {"retry-after": "1e30"}, None, "window", timedelta(days=31).total_seconds()),
        (429, {"retry-after": "20", "anthropic-ratelimit-unified-status": "rejected"}, None, "window", 20),
        (429, {"retry-after": "20", "anthropic-ratelimit-unified-status": "allowed"}, None, "rate", 20),
        (429, {"retry-after": "20"}, "usage_limit_reached", "window", 20),
        (429, {}, "insufficient_quota", "auth", None),
        (402, {}, None, "auth", None),
        (529, {}, "overloaded_error", "outage", None),
        (200, {}, "overloaded_error", "outage", None),
        (200, {}, "rate_limit_exceeded", "rate", 30),
        (400, {}, "invalid_request_error", "request", None),
    ],
)  # fmt: skip
def test_when_a_vendor_answers_again(
    status: int, headers: dict[str, str], error: str | None, kind: str, wait_s: float | None
) -> None:
    limit = limit_of("anthropic", status, headers, error, "said\x00 so", NOW)
    assert limit is not None
    assert limit.kind == kind
    assert "anthropic" in limit.message
    assert "\x00" not in limit.message
    assert (None if limit.until is None else (limit.until - NOW).total_seconds()) == wait_s


def test_an_answer_without_an_error_limits_nothing() -> None:
    assert limit_of("openai", 200, {}, None, "", NOW) is None


@pytest.mark.parametrize("path", [*STREAMS, "/v1/messages/count_tokens"])
def test_refusals_have_the_shape_of_their_api(path: str) -> None:
    api = BY_PATH[path]
    document = json.loads(api.refuse(api.stop_status, "No more."))
    assert document["error"]["message"] == "No more."
    assert api.stop_status == (402 if path.startswith("/v1/messages") else 400)
    assert ("type" in document) == path.startswith("/v1/messages")
