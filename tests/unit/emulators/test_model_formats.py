"""A stream says the same as the whole answer, in the events of its interface and in their order."""

import json
from typing import Any

import pytest

from emulators.model import refusals
from emulators.model.exchange import Answer, Call, Event, InvalidRequest, Kind, Tool, Usage
from emulators.model.formats.chat import Chat
from emulators.model.formats.messages import Messages
from emulators.model.formats.responses import Responses
from emulators.model.steps import Do, Step
from tests.unit.emulators.model_requests import asked

USAGE = Usage(fresh=3, cache_read=40, cache_write=7, output=60)
TEXT = Answer("A long text. " * 40)
CALL = Answer(call=Call(Tool("Write", {}), {"file_path": "ä.txt", "content": "x" * 500}))
PROGRAM = Answer(call=Call(Tool("exec", form="custom", namespace="functions"), {"input": "text('hi')"}))


def names(events: list[Event]) -> list[str | None]:
    """Names of events, repetitions left out."""
    found: list[str | None] = []
    for event in events:
        if not found or found[-1] != event.name:
            found.append(event.name)
    return found


def data(events: list[Event], name: str) -> list[dict[str, Any]]:
    return [event.data for event in events if event.name == name and isinstance(event.data, dict)]


@pytest.mark.parametrize("answer", [TEXT, CALL])
def test_messages_bring_the_usage_at_the_start_and_the_output_at_the_end(answer: Answer) -> None:
    events = list(Messages().events(asked("go"), answer, USAGE, 1))
    assert names(events) == [
        "message_start", "content_block_start", "ping", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop",
    ]  # fmt: skip
    start = data(events, "message_start")[0]["message"]["usage"]
    assert (start["input_tokens"], start["cache_read_input_tokens"], start["output_tokens"]) == (3, 40, 1)
    assert data(events, "message_delta")[0]["usage"]["output_tokens"] == 60
    whole = Messages().document(asked("go"), answer, USAGE, 1)
    assert data(events, "message_delta")[0]["delta"]["stop_reason"] == whole["stop_reason"]
    deltas = [event["delta"] for event in data(events, "content_block_delta")]
    joined = "".join(delta.get("text", delta.get("partial_json", "")) for delta in deltas)
    block = whole["content"][0]
    assert (json.loads(joined) if answer.call else joined) == block.get("text", block.get("input"))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(TEXT, "output_text"), (CALL, "function_call_arguments"), (PROGRAM, "custom_tool_call_input")],
)
def test_responses_end_with_the_whole_answer_and_its_usage(answer: Answer, kind: str) -> None:
    events = list(Responses().events(asked("go"), answer, USAGE, 1))
    assert names(events)[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert names(events)[-2:] == ["response.output_item.done", "response.completed"]
    assert [event.data["sequence_number"] for event in events] == list(range(len(events)))  # type: ignore[index]
    final = data(events, "response.completed")[0]["response"]
    assert final["usage"]["input_tokens"] == 50
    assert final["usage"]["input_tokens_details"] == {"cached_tokens": 40}
    joined = "".join(event["delta"] for event in data(events, f"response.{kind}.delta"))
    item = final["output"][0]
    assert joined == item.get("arguments", item.get("input")) or joined == item["content"][0]["text"]
    assert data(events, "response.output_item.done")[0]["item"] == item


@pytest.mark.parametrize("wanted", [True, False])
def test_chat_brings_the_usage_only_when_it_is_wanted(wanted: bool) -> None:
    events = list(Chat().events(asked("go", usage_wanted=wanted), CALL, USAGE, 1))
    assert events[-1].data == "[DONE]"
    chunks = [event.data for event in events[:-1] if isinstance(event.data, dict)]
    assert [chunk["usage"]["prompt_tokens"] for chunk in chunks if chunk.get("usage")] == ([50] if wanted else [])
    calls = [call for chunk in chunks for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", [])]
    assert calls[0]["function"]["name"] == "Write"
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == CALL.call.arguments  # type: ignore[union-attr]


def test_a_conversation_is_read_alike_from_every_interface() -> None:
    read = [
        Messages().read(
            {
                "model": "m",
                "max_tokens": 1,
                "messages": [
                    {"role": "user", "content": "go"},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "Bash", "input": {}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "out"}]},
                    {"role": "assistant", "content": "Done."},
                ],
            },
            1,
        ),
        Responses().read(
            {
                "model": "m",
                "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": "go"}]},
                    {"type": "function_call", "name": "Bash", "arguments": "{}", "call_id": "1"},
                    {"type": "function_call_output", "call_id": "1", "output": "out"},
                    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]},
                ],
            },
            1,
        ),
        Chat().read(
            {
                "model": "m",
                "messages": [
                    {"role": "user", "content": "go"},
                    {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "Bash", "arguments": ""}}]},
                    {"role": "tool", "tool_call_id": "1", "content": "out"},
                    {"role": "assistant", "content": "Done."},
                ],
            },
            1,
        ),
    ]
    entries = [[(entry.kind, entry.text) for entry in one.entries] for one in read]
    expected = [(Kind.USER, "go"), (Kind.CALLED, "Bash"), (Kind.RESULT, "out"), (Kind.SAID, "Done.")]
    assert entries == [expected] * 3


def test_codex_may_name_its_tools_in_the_input() -> None:
    listed = [{"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}]
    items = [{"type": "additional_tools", "role": "developer", "tools": listed}, {"role": "user", "content": "go"}]
    assert Responses().read({"model": "m", "input": items}, 1).tools == (
        Tool("exec", form="custom", namespace="functions"),
    )


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (Messages(), {"model": "m", "messages": [{"role": "user", "content": "go"}]}),
        (Messages(), {"model": "m", "max_tokens": 1, "messages": []}),
        (Messages(), {"model": "m", "max_tokens": 1, "messages": [{"role": "robot", "content": "go"}]}),
        (Messages(), {"max_tokens": 1, "messages": [{"role": "user", "content": "go"}]}),
        (Responses(), {"model": "m", "input": []}),
        (Responses(), {"model": "m", "input": ["go"]}),
        (Chat(), {"model": "m", "messages": [{"role": "robot"}]}),
    ],
)
def test_what_the_original_refuses_is_refused(form: Any, body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        form.read(body, 1)


def test_a_closed_window_is_in_the_headers_of_each_interface() -> None:
    step = Step(do=Do.STATUS, status=429, for_s=7200)
    anthropic, openai = (refusals.of_step(form, step, 7000.0) for form in ("messages", "responses"))
    headers = Messages().headers(anthropic, 1)
    assert headers["retry-after"] == "7000"
    assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert Responses().headers(openai, 1)["x-ratelimit-reset-requests"] == "7000s"
    assert Responses().error(openai, 1)["error"]["type"] == "usage_limit_reached"


def test_a_full_context_is_said_in_the_words_of_each_interface() -> None:
    step = Step(do=Do.OVERFLOW)
    assert "prompt is too long" in Messages().error(refusals.of_step("messages", step, None), 1)["error"]["message"]
    assert Responses().error(refusals.of_step("responses", step, None), 1)["error"]["code"] == "context_length_exceeded"


def test_an_end_without_a_word_has_no_content_in_any_interface() -> None:
    nothing = Answer()
    messages = names(list(Messages().events(asked("go"), nothing, USAGE, 1)))
    assert messages == ["message_start", "message_delta", "message_stop"]
    assert Messages().document(asked("go"), nothing, USAGE, 1)["content"] == []
    responses = names(list(Responses().events(asked("go"), nothing, USAGE, 1)))
    assert responses == ["response.created", "response.in_progress", "response.completed"]
    assert Responses().document(asked("go"), nothing, USAGE, 1)["output"] == []
