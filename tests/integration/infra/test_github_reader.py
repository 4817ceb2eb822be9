"""What a turn reads of GitHub: what is public, in nobody's name, and only if the project lets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from infra.egress.__main__ import GITHUB, Gateway, GitHubReader
from infra.egress.rules import Policy

Ask = Callable[[str], Awaitable[tuple[bytes, list[bytes]]]]


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Ask]:
    """Send a head to the reader's socket: the answer, and what GitHub was asked."""
    asked: list[bytes] = []

    async def github(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    place = tmp_path / "github.sock"
    async with await asyncio.start_server(github, "127.0.0.1", 0) as upstream:
        port = upstream.sockets[0].getsockname()[1]
        reader = GitHubReader(lambda: asyncio.open_connection("127.0.0.1", port))
        async with await asyncio.start_unix_server(reader.serve, place):

            async def sent(head: str) -> tuple[bytes, list[bytes]]:
                return await _said(place, head), asked

            yield sent


async def _said(place: Path, head: str) -> bytes:
    answer, question = await asyncio.open_unix_connection(place)
    question.write(head.replace("\n", "\r\n").encode())
    await question.drain()
    async with asyncio.timeout(10):
        said = await answer.read()
    question.close()
    return said


async def test_a_public_thing_is_read_without_a_name(ask: Ask) -> None:
    said, asked = await ask(
        "GET /repos/o/n HTTP/1.1\nHost: elsewhere.example\nAuthorization: token none\nCookie: a=b\nAccept: x/y\n\n"
    )
    assert said.startswith(b"HTTP/1.1 200 OK")
    [head] = asked
    assert head.startswith(b"GET /repos/o/n HTTP/1.1\r\nHost: api.github.com\r\nConnection: close\r\n")
    assert b"Accept: x/y" in head
    assert b"token" not in head
    assert b"Cookie" not in head


@pytest.mark.parametrize(
    "line", ["POST /repos/o/n/issues", "DELETE /repos/o/n", "POST /graphql", "GET /graphql", "GET http://127.0.0.1/"]
)
async def test_nothing_is_changed_and_nothing_else_is_reached(ask: Ask, line: str) -> None:
    said, asked = await ask(f"{line} HTTP/1.1\nHost: {GITHUB}\nContent-Length: 0\n\n")
    assert said.startswith(b"HTTP/1.1 403 Forbidden")
    assert b'{"message": "A turn reads public data' in said
    assert asked == []


async def test_a_project_that_does_not_allow_it_reads_nothing(tmp_path: Path) -> None:
    gateway = Gateway(Policy(hosts=("example.org",)))
    reader = GitHubReader(lambda: gateway.connected(GITHUB, 443))
    async with await asyncio.start_unix_server(reader.serve, tmp_path / "github.sock"):
        said = await _said(tmp_path / "github.sock", f"GET /repos/o/n HTTP/1.1\nHost: {GITHUB}\n\n")
    assert said.startswith(b"HTTP/1.1 403 Forbidden"), said
