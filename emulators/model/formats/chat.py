"""OpenAI's Chat Completions: `/v1/chat/completions`."""

import json
import time
from collections.abc import Iterator

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
from emulators.model.formats import openai_errors
from emulators.model.tokens import count


class Chat:
    name = "chat"

    def read(self, body: Json, size: int) -> Asked:
        model, messages = model_of(body), objects(body.get("messages"), "messages")
        if not messages:
            raise InvalidRequest("messages: at least one message is required")
        options = body.get("stream_options")
        systems = [message for message in messages if message.get("role") in {"system", "developer"}]
        return Asked(
            model=model,
            stream=bool(body.get("stream", False)),
            entries=tuple(entry for message in messages for entry in _entries(message)),
            tools=tuple(_tools(objects(body.get("tools") or [], "tools"))),
            system="\n".join(texts(message.get("content")) for message in systems),
            size=size,
            cached=True,
            writes_free=True,
            structured="response_format" in body,
            usage_wanted=isinstance(options, dict) and bool(options.get("include_usage")),
        )

    def document(self, asked: Asked, answer: Answer, usage: Usage, number: int) -> Json:
        message: Json = {"role": "assistant", "content": answer.text if answer.call is None else None, "refusal": None}
        if answer.call is not None:
            message["tool_calls"] = [_call(answer, number)]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
        return _completion(asked, number, "chat.completion") | {"choices": [choice], "usage": _usage(usage)}

    def events(self, asked: Asked, answer: Answer, usage: Usage, number: int) -> Iterator[Event]:
        chunk = _completion(asked, number, "chat.completion.chunk")
        if asked.usage_wanted:
            chunk["usage"] = None
        for delta, output in _deltas(answer, number):
            yield Event(chunk | {"choices": [_choice(delta, None)]}, output=output)
        yield Event(chunk | {"choices": [_choice({}, _finish(answer))]})
        if asked.usage_wanted:
            yield Event(chunk | {"choices": [], "usage": _usage(usage)})
        yield Event("[DONE]")

    def error(self, refusal: Refusal, number: int) -> Json:
        return openai_errors.document(refusal)

    def error_events(self, refusal: Refusal, asked: Asked, number: int) -> Iterator[Event]:
        yield Event(self.error(refusal, number))

    def headers(self, refusal: Refusal | None, number: int) -> dict[str, str]:
        return openai_errors.headers(refusal, number)


def _entries(message: Json) -> Iterator[Entry]:
    role, content = message.get("role"), texts(message.get("content"))
    if role == "user":
        yield Entry(Kind.USER, content)
    elif role == "tool":
        yield Entry(Kind.RESULT, content)
    elif role == "assistant":
        calls = objects(message.get("tool_calls") or [], "tool_calls")
        yield from (Entry(Kind.CALLED, str(call.get("function", {}).get("name"))) for call in calls)
        if not calls:
            yield Entry(Kind.SAID, content)
    elif role not in {"system", "developer"}:
        raise InvalidRequest(f"messages.role: {role!r} is not supported")


def _tools(listed: list[Json]) -> Iterator[Tool]:
    for tool in listed:
        function = tool.get("function")
        if isinstance(function, dict):
            parameters = function.get("parameters")
            yield Tool(str(function.get("name")), parameters if isinstance(parameters, dict) else {})


def _completion(asked: Asked, number: int, kind: str) -> Json:
    identity = f"chatcmpl-model-{number:06d}"
    return {"id": identity, "object": kind, "created": int(time.time()), "model": asked.model}


def _call(answer: Answer, number: int) -> Json:
    if answer.call is None:
        return {}
    arguments = json.dumps(answer.call.arguments, ensure_ascii=False)
    function = {"name": answer.call.tool.name, "arguments": arguments}
    return {"id": f"call_model_{number:06d}", "type": "function", "function": function}


def _deltas(answer: Answer, number: int) -> Iterator[tuple[Json, int]]:
    if answer.call is None:
        yield {"role": "assistant", "content": ""}, 0
        yield from (({"content": piece}, count(piece)) for piece in pieces(answer.text))
        return
    call = _call(answer, number)
    begun = {"index": 0, **call, "function": {"name": answer.call.tool.name, "arguments": ""}}
    yield {"role": "assistant", "content": None, "tool_calls": [begun]}, 0
    for piece in pieces(call["function"]["arguments"]):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, count(piece)


def _choice(delta: Json, finish: str | None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _finish(answer: Answer) -> str:
    return "stop" if answer.call is None else "tool_calls"


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
