"""The output of one run: bounded, and never a reason for the run to fail."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

CAP_BYTES = 20 * 1024 * 1024
TAIL_BYTES = 1024 * 1024
_CUT = b"\n[%d bytes of output were left out here: the log has reached its limit]\n"


class BoundedLog:
    """Appends up to `cap` bytes to a new file, or to the open one with this number; of what follows it keeps the end,
    which comes last and says why, and writes it when the log is closed.

    With `rotate` (services that run for months) a full log becomes `<name>.1` and a new one begins, so that the
    latest output is what is kept; offsets then start again at 0.
    """

    def __init__(self, to: Path | int, *, cap: int = CAP_BYTES, tail: int = TAIL_BYTES, rotate: bool = False) -> None:
        self._to = to
        self._cap = cap
        self._tail = _Tail(tail)
        self._rotate = rotate
        self._closed = False
        self._open()

    def write(self, chunk: bytes) -> None:
        if self._closed:
            return
        room = max(0, self._cap - self._size)
        if len(chunk) <= room:
            self._append(chunk)
            return
        self._append(chunk[:room])
        if self._rotate and isinstance(self._to, Path):
            os.close(self._file)
            os.replace(self._to, self._to.with_name(self._to.name + ".1"))
            self._open()
            self.write(chunk[room : room + self._cap])
            return
        self._tail.add(chunk[room:])

    def close(self) -> None:
        """Write what was kept of the end; a second call changes nothing."""
        if self._closed:
            return
        self._closed = True
        if self._tail.left_out:
            self._append(_CUT % self._tail.left_out)
        self._append(self._tail.content)
        os.close(self._file)

    def _open(self) -> None:
        if isinstance(self._to, int):
            self._file = os.dup(self._to)
        else:
            self._file = os.open(self._to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._size = 0

    def _append(self, chunk: bytes) -> None:
        try:
            while chunk:
                written = os.write(self._file, chunk)
                self._size += written
                chunk = chunk[written:]
        except OSError:
            # A full disk must not end the run: the output is lost, the exit code is not.
            self._size += len(chunk)


class _Tail:
    """The last `limit` bytes of what was added, and how many came before them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self.left_out = 0

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size - len(self._chunks[0]) >= self._limit:
            gone = len(self._chunks.popleft())
            self._size -= gone
            self.left_out += gone

    @property
    def content(self) -> bytes:
        """At most a chunk more than the limit."""
        return b"".join(self._chunks)
