"""OpenAI's Responses: `/v1/responses`."""

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

_CALLS = {"function_call", "custom_tool_call", "local_shell_call"}
_PREFIX = {"function": "fc", "custom": "ctc", "local_shell": "lsh"}
_RESULTS = {"function_call_output", "custom_tool_call_output", "local_shell_call_output"}


class Responses:
    name = "responses"

    def read(self, body: Json, size: int) -> Asked:
        model, given = model_of(body), body.get("input")
        items = objects([{"role": "user", "content": given}] if isinstance(given, str) else given, "input")
        if not items:
            raise InvalidRequest("input: at least one item is required")
        form = body.get("text")
        return Asked(
            model=model,
            stream=bool(body.get("stream", False)),
            entries=tuple(entry for item in items for entry in _entries(item)),
            tools=tuple(_tools([*objects(body.get("tools") or [], "tools"), *_additional(items)])),
            system=texts(body.get("instructions")) + _developer(items),
            size=size,
            cached=True,
            writes_free=True,
            structured=isinstance(form, dict) and isinstance(form.get("format"), dict),
        )

    def document(self, asked: Asked, answer: Answer, usage: Usage, number: int) -> Json:
        output = [] if answer.is_empty else [_item(answer, number, "completed")]
        return _response(asked, number, "completed") | {"output": output, "usage": _usage(usage)}

    def events(self, asked: Asked, answer: Answer, usage: Usage, number: int) -> Iterator[Event]:
        for sequence, event in enumerate(self._events(asked, answer, usage, number)):
            yield Event(event.data | {"sequence_number": sequence}, event.name, event.output)  # type: ignore[operator] # these are objects

    def _events(self, asked: Asked, answer: Answer, usage: Usage, number: int) -> Iterator[Event]:
        begun = _response(asked, number, "in_progress")
        yield _event("response.created", response=begun)
        yield _event("response.in_progress", response=begun)
        if not answer.is_empty:
            yield _event("response.output_item.added", output_index=0, item=_item(answer, number, "in_progress"))
            yield from _text_events(answer, number) if answer.call is None else _call_events(answer, number)
            yield _event("response.output_item.done", output_index=0, item=_item(answer, number, "completed"))
        yield _event("response.completed", response=self.document(asked, answer, usage, number))

    def error(self, refusal: Refusal, number: int) -> Json:
        return openai_errors.document(refusal)

    def error_events(self, refusal: Refusal, asked: Asked, number: int) -> Iterator[Event]:
        error = {"code": refusal.code or refusal.type, "message": refusal.message}
        yield _event("response.failed", response=_response(asked, number, "failed") | {"error": error})

    def headers(self, refusal: Refusal | None, number: int) -> dict[str, str]:
        return openai_errors.headers(refusal, number)


def _entries(item: Json) -> Iterator[Entry]:
    kind, role = item.get("type", "message"), item.get("role")
    if kind in _CALLS:
        yield Entry(Kind.CALLED, str(item.get("name", kind)))
    elif kind in _RESULTS:
        output = item.get("output")
        yield Entry(Kind.RESULT, output if isinstance(output, str) else texts(output))
    elif kind == "message" and role == "assistant":
        yield Entry(Kind.SAID, texts(item.get("content")))
    elif kind == "message" and role == "user":
        yield Entry(Kind.USER, texts(item.get("content")))


def _developer(items: list[Json]) -> str:
    return "\n".join(texts(item.get("content")) for item in items if item.get("role") in {"developer", "system"})


def _additional(items: list[Json]) -> Iterator[Json]:
    """Codex tells a model that it knows about tools in an item of the input."""
    for item in items:
        if item.get("type") == "additional_tools":
            yield from objects(item.get("tools"), "tools")


def _tools(listed: list[Json], namespace: str = "") -> Iterator[Tool]:
    for tool in listed:
        form, name = str(tool.get("type")), str(tool.get("name", tool.get("type")))
        if form == "namespace":
            yield from _tools(objects(tool.get("tools") or [], "tools"), name)
        elif form in {"local_shell", "custom"}:
            yield Tool(name, form=form, namespace=namespace)
        elif form == "function" and isinstance(schema := tool.get("parameters"), dict):
            yield Tool(name, schema, namespace=namespace)


def _response(asked: Asked, number: int, status: str) -> Json:
    return {
        "id": f"resp_model_{number:06d}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "model": asked.model,
        "output": [],
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }


def _item(answer: Answer, number: int, status: str) -> Json:
    done = status == "completed"
    if answer.call is None:
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        content = [part] if done else []
        identity = f"msg_model_{number:06d}"
        return {"id": identity, "type": "message", "status": status, "role": "assistant", "content": content}
    call: Json = {
        "id": f"{_PREFIX[answer.call.tool.form]}_model_{number:06d}",
        "status": status,
        "call_id": f"call_model_{number:06d}",
    }
    if answer.call.tool.form == "local_shell":
        action = {"type": "exec", "command": answer.call.arguments["command"], "env": {}}
        return call | {"type": "local_shell_call", "action": action}
    if answer.call.tool.form == "custom":
        call |= {"type": "custom_tool_call", "name": answer.call.tool.name, "input": _input(answer) if done else ""}
    else:
        call |= {"type": "function_call", "name": answer.call.tool.name, "arguments": _input(answer) if done else ""}
    return call | ({"namespace": answer.call.tool.namespace} if answer.call.tool.namespace else {})


def _input(answer: Answer) -> str:
    """What a tool is called with: JSON, or the bare text of a custom tool."""
    if answer.call is None:
        return ""
    if answer.call.tool.form == "custom":
        return str(answer.call.arguments["input"])
    return json.dumps(answer.call.arguments, ensure_ascii=False)


def _text_events(answer: Answer, number: int) -> Iterator[Event]:
    place: Json = {"item_id": f"msg_model_{number:06d}", "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": []}
    yield _event("response.content_part.added", **place, part=empty)
    for piece in pieces(answer.text):
        yield _event("response.output_text.delta", count(piece), **place, delta=piece)
    yield _event("response.output_text.done", **place, text=answer.text)
    yield _event("response.content_part.done", **place, part=empty | {"text": answer.text})


def _call_events(answer: Answer, number: int) -> Iterator[Event]:
    if answer.call is None or answer.call.tool.form == "local_shell":
        return
    is_custom = answer.call.tool.form == "custom"
    name, field = ("custom_tool_call_input", "input") if is_custom else ("function_call_arguments", "arguments")
    place: Json = {"item_id": f"{_PREFIX[answer.call.tool.form]}_model_{number:06d}", "output_index": 0}
    for piece in pieces(_input(answer)):
        yield _event(f"response.{name}.delta", count(piece), **place, delta=piece)
    place[field] = _input(answer)
    yield _event(f"response.{name}.done", **place)


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }


def _event(name: str, output: int = 0, **data: object) -> Event:
    return Event({"type": name, **data}, name=name, output=output)
