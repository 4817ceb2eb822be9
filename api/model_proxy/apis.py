"""The APIs that agents speak: a row for each, with what differs between them."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from api.model_proxy.reading import (
    DocumentReader,
    Event,
    Inflating,
    Reader,
    Reading,
    StreamReader,
    chat_event,
    messages_event,
    responses_event,
)
from runtime.model_vendors import ANTHROPIC, OPENAI

JSON = b"application/json"


@dataclass(frozen=True)
class ModelApi:
    """`path` is what agents ask for, `below` what follows the base URL of the vendor.

    `stop_status` is the status that stops each agent at once: with others some try again for minutes, or ask a person
    to log in. What is not `billed` is no row.
    """

    name: str
    account: str
    path: str
    below: str
    stop_status: int
    on_event: Callable[[Reading, Event], None]
    refuse: Callable[[int, str], bytes]
    billed: bool = True

    def reader(self, content_type: str, encoding: str) -> Reader:
        """What reads along with an answer of this type."""
        is_stream = content_type.partition(";")[0].strip().lower() == "text/event-stream"
        plain: Reader = StreamReader(self.on_event) if is_stream else DocumentReader(self.on_event)
        return plain if encoding in {"", "identity"} else Inflating(plain, encoding)


def _refuse_messages(status: int, message: str) -> bytes:
    kinds = {400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 404: "not_found_error",
             413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error"}  # fmt: skip
    error = {"type": kinds.get(status, "api_error"), "message": message}
    return json.dumps({"type": "error", "error": error}).encode()


def _refuse_openai(status: int, message: str) -> bytes:
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": None, "code": "platform_refused"}
    return json.dumps({"error": error}).encode()


def _ignore(reading: Reading, event: Event) -> None:
    """An answer that tells of no use."""


APIS = (
    ModelApi("messages", ANTHROPIC, "/v1/messages", "/v1/messages", 402, messages_event, _refuse_messages),
    ModelApi(
        "count_tokens", ANTHROPIC, "/v1/messages/count_tokens", "/v1/messages/count_tokens", 402, _ignore,
        _refuse_messages, billed=False,
    ),
    ModelApi("responses", OPENAI, "/v1/responses", "/responses", 400, responses_event, _refuse_openai),
    ModelApi("chat", OPENAI, "/v1/chat/completions", "/chat/completions", 400, chat_event, _refuse_openai),
)  # fmt: skip
BY_PATH = {api.path: api for api in APIS}
