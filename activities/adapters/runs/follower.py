"""Follows the output of a run (a supervised process, a container), line by line, from the beginning, to its end."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, Self

from activities.adapters.runs.states import RunStatus
from activities.ports import Follow
from contracts.progress import FineEvent, FineKind, ProgressEvent

_REPORT_S = 0.5
_CHUNK = 65536
_MAX_LINE = 4 * 1024 * 1024
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_THOUGHT_S = 2.0
_MAX_EVENTS = 200
"""Fine events of one chunk: a program that prints without end is not shown line by line."""


def readable(text: str) -> str:
    """Without colours and control characters, which neither a database nor a terminal should be given."""
    return _CONTROL.sub("", text)


class Shown(str):
    """A text for people that says what kind of thing it tells of."""

    kind: FineKind | None

    def __new__(cls, text: str, kind: FineKind | None) -> Self:
        made = super().__new__(cls, text)
        made.kind = kind
        return made


def like(text: str, before: str) -> str:
    """`text`, which was made of `before`, as the same kind of thing."""
    return Shown(text, before.kind) if isinstance(before, Shown) else text


class Followed(Protocol):
    """What can be followed: its output by offset, and its end."""

    def read_output(self, name: str, offset: int, limit: int = 65536) -> tuple[bytes, int]: ...

    async def wait(self, name: str) -> RunStatus: ...


class LineSplitter:
    """Whole lines with the offset at which each begins. A line above 4 MB is dropped."""

    def __init__(self) -> None:
        self._rest = b""
        self._start = 0
        self._dropping = False

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        *whole, rest = (self._rest + chunk).split(b"\n")
        lines = []
        for line in whole:
            if not self._dropping:
                lines.append((self._start, line))
            self._dropping = False
            self._start += len(line) + 1
        if len(rest) > _MAX_LINE:
            self._start += len(rest)
            rest, self._dropping = b"", True
        self._rest = rest
        return lines

    def last(self) -> list[tuple[int, bytes]]:
        """What came after the last newline, once there is no more."""
        return [(self._start, self._rest)] if self._rest and not self._dropping else []


class LineFollower:
    """`shown` turns a line into texts for people, and sees every line, also those reported before.

    Events are keyed `<key>:<offset>`; `base` is added to offsets, for a run that continues another one.
    """

    def __init__(self, source: Followed, follow: Follow, key: str, request_id: str, task_id: str) -> None:
        self._source = source
        self._follow = follow
        self._key = key
        self._request_id = request_id
        self._task_id = task_id
        self._thought_at = -_THOUGHT_S

    async def follow(self, name: str, shown: Callable[[bytes], list[str]], base: int = 0) -> tuple[RunStatus, int]:
        """Report until the run has ended, at least twice a second; return its end and the offset after it.

        A run that was removed meanwhile is `lost`: it was there, and nobody saw its end.
        """
        splitter, offset = LineSplitter(), 0
        ended = asyncio.ensure_future(self._source.wait(name))
        try:
            while True:
                done = ended.done()
                chunk, offset = self._source.read_output(name, offset, _CHUNK)
                lines = splitter.feed(chunk) if chunk else []
                if done and not chunk:
                    await self._report(splitter.last(), shown, base, base + offset)
                    status = ended.result()
                    return replace(status, state="lost") if status.state == "absent" else status, base + offset
                await self._report(lines, shown, base, base + offset)
                if not chunk:
                    await asyncio.wait({ended}, timeout=_REPORT_S)
        finally:
            ended.cancel()

    async def _report(
        self, lines: list[tuple[int, bytes]], shown: Callable[[bytes], list[str]], base: int, after: int
    ) -> None:
        events = []
        for start, line in lines:
            texts = [like(text, told) for told in shown(line) if (text := readable(told)).strip()]
            if base + start + len(line) >= self._follow.offset:
                kept = [(number, text) for number, text in enumerate(texts) if self._is_due(text)]
                events += [self._event(base + start, number, text) for number, text in kept]
        await self._follow.report(events[:_MAX_EVENTS], max(after, self._follow.offset))

    def _is_due(self, text: str) -> bool:
        """Thoughts come by the dozen: one at a time is shown, and all of them are in the transcript."""
        if not isinstance(text, Shown) or text.kind != "thought":
            return True
        now = time.monotonic()
        due = now - self._thought_at >= _THOUGHT_S
        self._thought_at = now if due else self._thought_at
        return due

    def _event(self, offset: int, number: int, text: str) -> FineEvent:
        key = f"{self._key}:{offset}" if number == 0 else f"{self._key}:{offset}.{number}"
        event = ProgressEvent(
            type="progress",
            request_id=self._request_id,
            task_id=self._task_id,
            message=text[:4000],
            kind=text.kind if isinstance(text, Shown) else None,
        )
        return FineEvent(key=key, event=event)
