"""A request and its answer without the form of any interface."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

Json = dict[str, Any]


class Kind(StrEnum):
    """What an entry of a conversation is."""

    USER = "user"
    SAID = "said"
    CALLED = "called"
    RESULT = "result"


@dataclass(frozen=True)
class Entry:
    """One piece of the conversation, oldest first in `Asked.entries`."""

    kind: Kind
    text: str = ""


@dataclass(frozen=True)
class Tool:
    """A tool that the agent offers. `parameters` is its JSON schema; `form` is the type of its entry in the request."""

    name: str
    parameters: Json = field(default_factory=dict)
    form: str = "function"
    namespace: str = ""

    @property
    def properties(self) -> Json:
        found = self.parameters.get("properties")
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Asked:
    """What a request asks for. `system` is the text of instructions; `size` is the length of the body in bytes.

    `cached`: the request is read from the cache as far as it was sent before; `writes_free`: filling it costs nothing
    more. `structured`: the answer has to be JSON. `usage_wanted`: a stream ends with the usage.
    """

    model: str
    stream: bool
    entries: tuple[Entry, ...]
    tools: tuple[Tool, ...] = ()
    system: str = ""
    size: int = 0
    cached: bool = False
    writes_free: bool = False
    structured: bool = False
    usage_wanted: bool = True


@dataclass(frozen=True)
class Call:
    tool: Tool
    arguments: Json


@dataclass(frozen=True)
class Answer:
    """Either text or one call; neither of them ends the turn without a word."""

    text: str = ""
    call: Call | None = None

    @property
    def is_empty(self) -> bool:
        return not self.text and self.call is None


@dataclass(frozen=True)
class Usage:
    """Tokens. `fresh`: input that no cache held; the whole input is `fresh + cache_read + cache_write`."""

    fresh: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    @property
    def input(self) -> int:
        return self.fresh + self.cache_read + self.cache_write


@dataclass(frozen=True)
class Refusal:
    """An answer that is an error. `reset_s`: seconds until the window is open again, for the headers."""

    status: int
    type: str
    message: str
    code: str | None = None
    reset_s: float | None = None


@dataclass(frozen=True)
class Event:
    """One server-sent event. `output` is how many tokens of the answer it brings."""

    data: Json | str
    name: str | None = None
    output: int = 0


class InvalidRequest(Exception):
    """A body that the original would refuse with status 400."""


class Format(Protocol):
    """The form of one interface."""

    name: str

    def read(self, body: Json, size: int) -> Asked: ...

    def document(self, asked: Asked, answer: Answer, usage: Usage, number: int) -> Json: ...

    def events(self, asked: Asked, answer: Answer, usage: Usage, number: int) -> Iterator[Event]: ...

    def error(self, refusal: Refusal, number: int) -> Json: ...

    def error_events(self, refusal: Refusal, asked: Asked, number: int) -> Iterator[Event]: ...

    def headers(self, refusal: Refusal | None, number: int) -> dict[str, str]: ...


def pieces(text: str, size: int = 200) -> list[str]:
    """The text in parts of at most `size` characters; at least one."""
    return [text[start : start + size] for start in range(0, len(text), size)] or [""]


def texts(content: object) -> str:
    """The text of a message's content, which is a string or a list of blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    found = [block.get("text") for block in content if isinstance(block, dict)]
    return "\n".join(text for text in found if isinstance(text, str))


def objects(value: object, name: str) -> list[Json]:
    """A list of JSON objects, or InvalidRequest."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidRequest(f"{name}: Input should be a valid list of objects")
    return value


def model_of(body: Json) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("model: Field required")
    return model
