"""Streams of the Docker Engine: output of containers, and archives with one member."""

from __future__ import annotations

import io
import socket
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import requests
import urllib3


class Closable(Protocol):
    def close(self) -> None: ...


def copy_chunks(stream: Iterable[bytes], skip: int, write: Callable[[bytes], object]) -> int:
    seen = 0
    try:
        for chunk in stream:
            seen += len(chunk)
            if seen > skip:
                write(chunk[-(seen - skip) :] if seen - len(chunk) < skip else chunk)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
        # The connection ended in the middle; whoever follows looks what the container does, and comes again.
        return max(seen, skip)
    return max(seen, skip)


def close(stream: Closable) -> None:
    try:
        stream.close()
    except (OSError, AttributeError):
        # It ended at the same moment.
        return


def send_all(attached: Any, message: bytes, timeout_s: float) -> bool:  # noqa: ANN401 - the SDK has no types
    """Write to what the SDK gives for an attached container, and close that direction; False if nobody reads."""
    # Through a Unix socket or TCP the SDK wraps the socket for reading only.
    connection: socket.socket = getattr(attached, "_sock", attached)
    try:
        connection.settimeout(timeout_s)
        connection.sendall(message)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        return False
    return True


def only_member(stream: Iterable[bytes], limit: int) -> bytes | None:
    with tarfile.open(fileobj=_Readable(stream), mode="r|") as archive:
        member = archive.next()
        file = archive.extractfile(member) if member is not None and member.isreg() else None
        content = file.read(limit + 1) if file is not None else None
    return content if content is not None and len(content) <= limit else None


def save_member(stream: Iterable[bytes], target: Path, limit: int) -> bool:
    with tarfile.open(fileobj=_Readable(stream), mode="r|") as archive:
        member = archive.next()
        file = archive.extractfile(member) if member is not None and member.isreg() else None
        if member is None or file is None or member.size > limit:
            return False
        with target.open("wb") as out:
            while chunk := file.read(1 << 20):
                out.write(chunk)
    return True


class _Readable(io.RawIOBase):
    """A stream of chunks as a file for tarfile."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        taken, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return taken
