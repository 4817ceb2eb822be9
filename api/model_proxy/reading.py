"""Reads along while an answer passes by: its use, its id, whether it is whole, and what went wrong in it.

What a vendor sends is bounded and believed only where it makes sense. Nothing here changes a byte.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from api.model_proxy.usage import TokenUse

MAX_DOCUMENT = 32_000_000
MAX_LINE = 16_000_000
_MAX_NAME = 200


@dataclass
class Reading:
    """What is known of an answer so far. `whole`: its end was seen. `error`: the vendor's type or code of an error.

    `spoiled`: a number in it was none, so that its use is not known whatever else it says. `written`: bytes of what the
    model has written so far in the events of a stream.
    """

    use: TokenUse | None = None
    spoiled: bool = False
    whole: bool = False
    written: int = 0
    model: str | None = None
    upstream_id: str | None = None
    error: str | None = None
    message: str = ""

    def take(self, use: TokenUse | None) -> None:
        """The newest sums; None if they were not numbers."""
        self.use, self.spoiled = use, self.spoiled or use is None


class Reader(Protocol):
    """`is_stream`: the end of the answer is one of its events, and not the end of its bytes."""

    reading: Reading
    is_stream: bool

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the answer."""

    def close(self) -> Reading:
        """No more will come."""


Event = Mapping[str, Any]
OnEvent = Callable[[Reading, Event], None]


def messages_event(reading: Reading, event: Event) -> None:
    """An event of a stream of the Messages API, or its whole answer."""
    kind, message = event.get("type"), event
    if kind == "message_start":
        message = _mapping(event.get("message"))
    if kind in {"message_start", "message"}:
        _identify(reading, message)
    if kind in {"message_start", "message", "message_delta"} and isinstance(message.get("usage"), Mapping):
        reading.take(TokenUse.of_messages(message["usage"], reading.use))
    reading.whole = reading.whole or kind in {"message_stop", "message"}
    _read_error(reading, event)


def responses_event(reading: Reading, event: Event) -> None:
    """An event of a stream of the Responses API, or its whole answer."""
    response = event if event.get("object") == "response" else _mapping(event.get("response"))
    _identify(reading, response)
    if isinstance(response.get("usage"), Mapping):
        reading.take(TokenUse.of_openai(response["usage"]))
    status = response.get("status") or str(event.get("type")).removeprefix("response.")
    reading.whole = reading.whole or status in {"completed", "incomplete", "failed", "cancelled"}
    _read_error(reading, response if response.get("error") else event)


def chat_event(reading: Reading, event: Event) -> None:
    """A chunk of a stream of the Chat Completions API, or its whole answer."""
    _identify(reading, event)
    if isinstance(event.get("usage"), Mapping):
        reading.take(TokenUse.of_openai(event["usage"]))
    reading.whole = reading.whole or event.get("object") == "chat.completion"
    _read_error(reading, event)


def _identify(reading: Reading, message: Event) -> None:
    reading.model = _name(message.get("model")) or reading.model
    reading.upstream_id = _name(message.get("id")) or reading.upstream_id


def _read_error(reading: Reading, event: Event) -> None:
    error = event.get("error")
    if isinstance(error, Mapping):
        reading.error = _name(error.get("code")) or _name(error.get("type")) or "error"
        reading.message = str(error.get("message") or "")[:1_000]
    elif event.get("type") == "error":
        reading.error = _name(event.get("code")) or "error"
        reading.message = str(event.get("message") or "")[:1_000]


def _mapping(value: object) -> Event:
    return value if isinstance(value, Mapping) else {}


def _name(value: object) -> str | None:
    return storable_name(value) if isinstance(value, str) else None


def storable_name(value: str | None) -> str | None:
    """A name that a vendor gives, as a row can hold it: printable and short; None for what is no name."""
    return value[:_MAX_NAME] if value and value.isprintable() else None


class DocumentReader:
    """An answer that is one JSON document."""

    is_stream = False

    def __init__(self, on_event: OnEvent) -> None:
        self.reading = Reading()
        self.document = bytearray()
        self._on_event = on_event
        self._too_large = False

    def feed(self, chunk: bytes) -> None:
        self._too_large = self._too_large or len(self.document) + len(chunk) > MAX_DOCUMENT
        if not self._too_large:
            self.document += chunk

    def close(self) -> Reading:
        if not self._too_large:
            _parse(self.document, self.reading, self._on_event)
        return self.reading


class StreamReader:
    """An answer that is a stream of events, of which only the data lines with something about use are parsed."""

    is_stream = True

    def __init__(self, on_event: OnEvent) -> None:
        self.reading = Reading()
        self._on_event = on_event
        self._line = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> None:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._add(line)
            if not self._skipping:
                self._read(bytes(self._line).strip())
            self._line.clear()
            self._skipping = False
        self._add(rest)

    def close(self) -> Reading:
        if not self._skipping:
            self._read(bytes(self._line).strip())
        self._line.clear()
        return self.reading

    def _add(self, part: bytes) -> None:
        if self._skipping or len(self._line) + len(part) > MAX_LINE:
            self._skipping = True
            self._line.clear()
        else:
            self._line += part

    def _read(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self.reading.whole = True
            return
        # Inside of a text these have a backslash before the quote: only a field is found.
        if any(word in data for word in _TELLING):
            _parse(data, self.reading, self._on_event)
        if b'"delta"' in data:
            _parse(data, self.reading, _count_written)


_TELLING = (b'"usage"', b'"error"', b'"message_stop"', b'"model"')
_NOT_WRITTEN = frozenset({"type", "id", "role", "signature"})


def _count_written(reading: Reading, event: Event) -> None:
    """Adds every text of the deltas of an event: of words, thoughts and the arguments of calls."""
    choices = event.get("choices")
    waiting: list[object] = [event.get("delta")]
    if isinstance(choices, list):
        waiting.extend(choice.get("delta") for choice in choices if isinstance(choice, Mapping))
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            reading.written += len(value.encode("utf-8", "replace"))
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, Mapping):
            waiting.extend(part for name, part in value.items() if name not in _NOT_WRITTEN)


def _parse(data: bytes | bytearray, reading: Reading, on_event: OnEvent) -> None:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(event, Mapping):
        on_event(reading, event)


class Inflating:
    """Reads what was compressed with gzip or deflate; other encodings cannot be read, so that their use is unknown."""

    def __init__(self, inner: Reader, encoding: str) -> None:
        self._inner = inner
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in {"gzip", "deflate"} else None
        self.reading = inner.reading
        self.is_stream = inner.is_stream

    def feed(self, chunk: bytes) -> None:
        while self._inflate is not None and chunk:
            try:
                plain = self._inflate.decompress(chunk, MAX_LINE)
            except zlib.error:
                self._inflate = None
                return
            self._inner.feed(plain)
            chunk = self._inflate.unconsumed_tail

    def close(self) -> Reading:
        return self._inner.close()
