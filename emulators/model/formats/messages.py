"""Anthropic's Messages: `/v1/messages`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from emulators.model.exchange import (
    Answer,
    Asked,
    Entry,
    Event,
    InvalidRequest,
    Json,
    Kind,
    Refusal,
    Tool,
    Usage,
    model_of,
    objects,
    pieces,
    texts,
)
from emulators.model.tokens import count


class Messages:
    name = "messages"

    def read(self, body: Json, size: int) -> Asked:
        model = model_of(body)
        if not isinstance(body.get("max_tokens"), int):
            raise InvalidRequest("max_tokens: Field required")
        messages = objects(body.get("messages"), "messages")
        if not messages:
            raise InvalidRequest("messages: at least one message is required")
        return Asked(
            model=model,
            stream=bool(body.get("stream", False)),
            entries=tuple(entry for message in messages for entry in _entries(message)),
            tools=tuple(_tools(objects(body.get("tools") or [], "tools"))),
            system=texts(body.get("system")),
            size=size,
            cached='"cache_control"' in json.dumps(body),
            structured="output_config" in body or "output_format" in body,
        )

    def document(self, asked: Asked, answer: Answer, usage: Usage, number: int) -> Json:
        return _message(asked, number) | {
            "content": [] if answer.is_empty else [_block(answer, number)],
            "stop_reason": _stop(answer),
            "usage": _usage(usage),
        }

    def events(self, asked: Asked, answer: Answer, usage: Usage, number: int) -> Iterator[Event]:
        start = _message(asked, number) | {"content": [], "usage": _usage(usage) | {"output_tokens": 1}}
        yield _event({"type": "message_start", "message": start})
        if not answer.is_empty:
            yield from _block_events(answer, number)
        delta = {"stop_reason": _stop(answer), "stop_sequence": None}
        yield _event({"type": "message_delta", "delta": delta, "usage": _final_usage(usage)})
        yield _event({"type": "message_stop"})

    def error(self, refusal: Refusal, number: int) -> Json:
        error = {"type": refusal.type, "message": refusal.message}
        return {"type": "error", "error": error, "request_id": f"req_model_{number:06d}"}

    def error_events(self, refusal: Refusal, asked: Asked, number: int) -> Iterator[Event]:
        yield _event(self.error(refusal, number))

    def headers(self, refusal: Refusal | None, number: int) -> dict[str, str]:
        found = {"request-id": f"req_model_{number:06d}", "anthropic-organization-id": "org-scripted"}
        if refusal is None or refusal.reset_s is None:
            return found
        reset = datetime.now(UTC) + timedelta(seconds=refusal.reset_s)
        return found | {
            "retry-after": str(max(1, round(refusal.reset_s))),
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": reset.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": str(round(reset.timestamp())),
        }


def _entries(message: Json) -> Iterator[Entry]:
    role, content = message.get("role"), message.get("content")
    if role not in {"user", "assistant", "system"}:
        raise InvalidRequest(f"messages.role: Input should be 'user' or 'assistant', not {role!r}")
    blocks = objects([{"type": "text", "text": content}] if isinstance(content, str) else content, "content")
    if role == "assistant":
        calls = [block for block in blocks if block.get("type") == "tool_use"]
        yield from (Entry(Kind.CALLED, str(call.get("name"))) for call in calls)
        if not calls:
            yield Entry(Kind.SAID, texts(blocks))
        return
    yield from (Entry(Kind.RESULT, texts(block.get("content"))) for block in blocks if block["type"] == "tool_result")
    said = [str(block.get("text")) for block in blocks if block.get("type") == "text"]
    yield from (Entry(Kind.USER, text) for text in said if role == "user")


def _tools(listed: list[Json]) -> Iterator[Tool]:
    for tool in listed:
        if isinstance(schema := tool.get("input_schema"), dict):
            yield Tool(str(tool.get("name")), schema)


def _message(asked: Asked, number: int) -> Json:
    return {
        "id": f"msg_model_{number:06d}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _block(answer: Answer, number: int) -> Json:
    if answer.call is None:
        return {"type": "text", "text": answer.text}
    identity = f"toolu_model_{number:06d}"
    return {"type": "tool_use", "id": identity, "name": answer.call.tool.name, "input": answer.call.arguments}


def _block_events(answer: Answer, number: int) -> Iterator[Event]:
    emptied: Json = {"text": ""} if answer.call is None else {"input": {}}
    yield _event({"type": "content_block_start", "index": 0, "content_block": _block(answer, number) | emptied})
    yield _event({"type": "ping"})
    for delta in _deltas(answer):
        output = count(str(delta.get("text", delta.get("partial_json"))))
        yield _event({"type": "content_block_delta", "index": 0, "delta": delta}, output)
    yield _event({"type": "content_block_stop", "index": 0})


def _deltas(answer: Answer) -> Iterator[Json]:
    if answer.call is None:
        yield from ({"type": "text_delta", "text": piece} for piece in pieces(answer.text))
        return
    arguments = json.dumps(answer.call.arguments, ensure_ascii=False)
    yield from ({"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces(arguments)))


def _stop(answer: Answer) -> str:
    return "end_turn" if answer.call is None else "tool_use"


def _final_usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.fresh,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }


def _usage(usage: Usage) -> Json:
    written = {"ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0}
    return _final_usage(usage) | {"cache_creation": written, "service_tier": "standard"}


def _event(data: Json, output: int = 0) -> Event:
    return Event(data, name=str(data["type"]), output=output)
