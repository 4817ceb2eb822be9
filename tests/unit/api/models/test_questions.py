"""What an agent may ask of a vendor: nothing that the vendor does by itself, whatever the shape of the request."""

import json
from typing import Any

import pytest

from api.model_proxy.questions import MOST_OUTPUT, NotAsked, Question, read

IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.org/?secret"}}
PART = {"type": "input_image", "image_url": "https://example.org/?secret"}

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("messages", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ("messages", {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}),
    ("messages", {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}),
    ("messages", {"tools": [{"type": "computer_20250124", "name": "computer"}]}),
    ("messages", {"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}),
    ("messages", {"tools": [{"type": ["web_search"]}]}),
    ("messages", {"tools": {"type": "web_search_20250305"}}),
    ("messages", {"mcp_servers": [{"type": "url", "url": "https://example.org"}]}),
    ("messages", {"container": {"skills": [{"type": "anthropic"}]}}),
    ("messages", {"messages": [{"role": "user", "content": [IMAGE]}]}),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [IMAGE]}]}]}),
    ("messages", {"messages": [{"role": "user", "content": IMAGE}]}),
    ("messages", {"messages": [{"content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}]}]}),
    ("messages", {"messages": [{"content": [{"source": {"type": "content", "content": [IMAGE]}}]}]}),
    ("messages", {"messages": [{"content": [{"source": {"type": {"a": 1}}}]}]}),
    ("messages", {"messages": [{"content": [{"type": "container_upload", "file_id": "f"}]}]}),
    ("messages", {"system": [IMAGE]}),
    ("count_tokens", {"messages": [{"role": "user", "content": [IMAGE]}]}),
    ("responses", {"tools": [{"type": "web_search"}]}),
    ("responses", {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}),
    ("responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
    ("responses", {"tools": [{"type": "mcp", "server_url": "https://example.org"}]}),
    ("responses", {"tools": [{"type": "namespace", "tools": [{"type": "web_search"}]}]}),
    ("responses", {"tools": [{"type": "image_generation"}]}),
    ("responses", {"tools": [{}]}),
    ("responses", {"prompt": {"id": "pmpt_1"}}),
    ("responses", {"previous_response_id": "resp_1"}),
    ("responses", {"conversation": {"id": "conv_1"}}),
    ("responses", {"input": [{"role": "user", "content": [PART]}]}),
    ("responses", {"input": [{"type": "function_call_output", "call_id": "c", "output": [PART]}]}),
    ("responses", {"input": [{"type": "computer_call_output", "output": {"file_id": "f"}}]}),
    ("responses", {"input": [{"content": [{"type": "input_file", "file_url": "https://example.org"}]}]}),
    ("responses", {"input": [{"content": [{"type": "input_file", "file_id": "f"}]}]}),
    ("responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
    ("responses", {"input": [{"id": "msg_1"}]}),
    ("chat", {"web_search_options": {"user_location": None}}),
    ("chat", {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "http://example.org"}}]}]}),
    ("chat", {"messages": [{"content": [{"type": "image_url", "image_url": {"url": ["x"]}}]}]}),
    ("chat", {"messages": [{"content": [{"type": "file", "file": {"file_id": "f"}}]}]}),
]
OWN: list[tuple[str, dict[str, Any]]] = [
    ("messages", {"tools": [{"name": "Bash", "input_schema": {"properties": {"type": {"type": "url"}}}}]}),
    ("messages", {"tools": [{"type": "text_editor_20250728", "name": "e"}, {"type": "custom", "name": "c"}]}),
    ("messages", {"mcp_servers": [], "container": None, "service_tier": "auto", "speed": None}),
    ("messages", {"system": "text", "messages": [{"role": "user", "content": "https://example.org"}]}),
    ("messages", {"messages": [{"content": [{"type": "tool_use", "input": {"source": {"type": "url"}}}]}]}),
    ("messages", {"messages": [{"content": [{"type": "image", "source": {"type": "base64", "data": "AA"}}]}]}),
    ("responses", {"tools": [{"type": "function"}, {"type": "custom"}, {"type": "local_shell"}], "store": False}),
    ("responses", {"tools": [{"type": "namespace", "tools": [{"type": "function"}]}], "background": False}),
    ("responses", {"input": [{"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}, {"role": "user"}]}),
    ("responses", {"input": [{"content": [{"type": "input_image", "image_url": "data:image/png;base64,AA"}]}]}),
    ("responses", {"input": [{"type": "function_call", "id": "fc_1", "arguments": '{"file_id": "x"}'}]}),
    ("responses", {"input": "text", "previous_response_id": None, "service_tier": "flex"}),
    ("chat", {"tools": [{"type": "function", "function": {"name": "bash"}}], "messages": [{"content": None}]}),
    ("chat", {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "DATA:image/png;base64,AA"}}]}]}),
]


def asked(api: str, fields: dict[str, Any], *, allowed: bool = False) -> Question:
    return read(api, json.dumps({"model": "m", **fields}).encode(), allow_vendor_side=allowed)


@pytest.mark.parametrize(("api", "fields"), REFUSED)
def test_what_the_vendor_would_do_is_refused_unless_the_operator_allows_it(api: str, fields: dict[str, Any]) -> None:
    with pytest.raises(NotAsked, match="ORCHESTRATOR_MODEL_VENDOR_TOOLS"):
        asked(api, fields)
    assert asked(api, fields, allowed=True).model == "m"


@pytest.mark.parametrize(("api", "fields"), OWN)
def test_what_stays_with_the_agent_passes(api: str, fields: dict[str, Any]) -> None:
    assert asked(api, fields).model == "m"


@pytest.mark.parametrize(
    "fields", [{"background": True}, {"service_tier": "priority"}, {"service_tier": {}}, {"speed": "fast"}]
)
def test_what_nobody_could_count_is_refused_whatever_is_allowed(fields: dict[str, Any]) -> None:
    with pytest.raises(NotAsked):
        asked("responses", fields, allowed=True)


@pytest.mark.parametrize(
    ("api", "fields", "most"),
    [
        ("messages", {"max_tokens": 32_000}, 32_000),
        ("messages", {}, MOST_OUTPUT),
        ("messages", {"max_tokens": True}, MOST_OUTPUT),
        ("messages", {"max_tokens": -5}, MOST_OUTPUT),
        ("messages", {"max_tokens": 10**12}, 1_000_000),
        ("messages", {"max_tokens": 10, "n": 5}, 10),
        ("responses", {"max_output_tokens": 7}, 7),
        ("responses", {"max_tokens": 7}, MOST_OUTPUT),
        ("chat", {"max_tokens": 7, "max_completion_tokens": 9}, 9),
        ("chat", {"max_tokens": 10, "n": 5}, 50),
        ("chat", {"max_tokens": 10, "n": "5"}, 10),
    ],
)
def test_an_answer_has_so_many_tokens_at_most(api: str, fields: dict[str, Any], most: int) -> None:
    assert asked(api, fields).most_output == most


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"model": 7}', b'{"model": ""}', b"[" * 100_000])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(NotAsked):
        read("messages", body, allow_vendor_side=True)


@pytest.mark.parametrize(
    "inside", ['"model": "m", "model": "n"', '"model": "m", "tools": [{"type": "a", "type": "b"}]']
)
def test_a_name_that_comes_twice_is_refused(inside: str) -> None:
    with pytest.raises(NotAsked, match="twice"):
        read("messages", f"{{{inside}}}".encode(), allow_vendor_side=True)


def test_content_in_content_is_followed_however_deep_it_is() -> None:
    content: object = [IMAGE]
    for _ in range(200):
        content = [{"type": "tool_result", "content": content}]
    with pytest.raises(NotAsked):
        asked("messages", {"messages": [{"role": "user", "content": content}]})
