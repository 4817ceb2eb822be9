"""What the model proxy takes in before it sends anything: bodies, their shape, places, connections."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from pathlib import Path

import pytest
import uvicorn
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from api.edge.server import protocol
from api.model_proxy.admission.bodies import Bodies, Gone, NoRoom, TooLarge, Upload
from api.model_proxy.admission.connections import bounded
from api.model_proxy.admission.places import Places
from api.model_proxy.admission.shape import MAX_DEPTH, MAX_TOKENS, OutOfShape, check_shape
from tests.support.eventually import eventually


@pytest.mark.parametrize(
    "filling",
    [
        b"[" * 500_000, b"{}," * 250_000, b'"",' * 250_000, b'"' + b"\\" * 600_000, b'\\"' * 300_000,
        b'"a' + "\U0001f600".encode() * 200_000, b"1," * 375_000,
    ],
    ids=["deep", "objects", "strings", "backslashes", "quotes", "wide", "numbers"],
)  # fmt: skip
def test_no_filling_of_a_body_takes_more_than_a_little_memory(filling: bytes) -> None:
    body = b'{"model": "m", "x": [' + filling + b"]}"
    tracemalloc.start()
    try:
        check_shape(body)
    except OutOfShape:
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # The regular expression keeps its own stack, which is not seen here; the measured process shows it.
    assert most < len(body) / 3


def test_long_conversations_are_within_the_bounds() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "{[,:\"'" * 100}]}] * 5_000
    check_shape(json.dumps({"messages": messages, "model": "m"}).encode())


@pytest.mark.parametrize(
    "filling",
    [
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, b'{"x":' * MAX_DEPTH, b"[" + b"1.5," * MAX_TOKENS + b"1]",
        b'["",' + b'"",' * (MAX_TOKENS // 2) + b'""]', b"[{}" + b",{}" * (MAX_TOKENS // 3) + b"]", b'"never ends',
    ],
    ids=["deep", "deep objects", "numbers", "strings", "objects", "open string"],
)  # fmt: skip
def test_what_would_take_much_memory_is_not_built_up(filling: bytes) -> None:
    with pytest.raises(OutOfShape):
        check_shape(b'{"model": "m", "x": ' + filling + b"}")


def upload(*parts: bytes, size: int | None = None, ends: bool = True) -> Upload:
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b""} if ends else {"type": "http.disconnect"})

    async def receive() -> Message:
        await asyncio.sleep(0)
        return messages.pop(0)

    return Upload(Headers({} if size is None else {"content-length": str(size)}), receive)


async def test_bodies_of_others_wait_until_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.model_proxy.admission.bodies.MAX_BODY", 40)
    monkeypatch.setattr("api.model_proxy.admission.bodies._ROOM_S", 0.2)
    memory = Bodies(everything=100, of_a_turn=60)
    async with memory.read("a", upload(b"x" * 40, size=40)) as body:
        assert body == b"x" * 40
        with pytest.raises(NoRoom):
            async with memory.read("a", upload(b"x" * 30, size=30)):
                pass
        # Of unknown size: it needs the room of the largest until it has come, and then its own.
        async with memory.read("b", upload(b"x" * 20)), memory.read("c", upload(b"x" * 40)):
            with pytest.raises(NoRoom):
                async with memory.read("d", upload(b"x", size=1)):
                    pass
    for one in (upload(b"x", size=41), upload(b"x" * 30, b"x" * 11)):
        with pytest.raises(TooLarge):
            async with memory.read("a", one):
                pass
    with pytest.raises(Gone):
        async with memory.read("a", upload(b"x", size=2, ends=False)):
            pass
    assert (memory._free, dict(memory._held)) == (100, {})


async def test_a_place_goes_to_the_turn_with_the_fewest_and_one_turn_never_has_all() -> None:
    places = Places(4)
    served: list[str] = []
    over = asyncio.Event()

    async def ask(turn: str) -> None:
        async with places.one(turn):
            served.append(turn)
            await over.wait()

    greedy = [asyncio.ensure_future(ask("greedy")) for _ in range(10)]
    await asyncio.sleep(0)
    assert served == ["greedy"] * 2
    second = [asyncio.ensure_future(ask("second")) for _ in range(5)]
    third = [asyncio.ensure_future(ask("third")) for _ in range(2)]
    await asyncio.sleep(0)
    assert served == ["greedy", "greedy", "second", "second"]
    third[0].cancel()
    second[0].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert served[4:] == ["third"]
    over.set()
    await asyncio.gather(*greedy, *second, *third, return_exceptions=True)
    assert (served.count("greedy"), served.count("second"), served.count("third")) == (10, 5, 1)
    assert (places._free, dict(places._held), places._waiting) == (4, {}, {})


async def test_who_leaves_at_the_moment_of_being_served_gives_the_place_on() -> None:
    places = Places(1)

    async def ask() -> None:
        async with places.one("turn"):
            await asyncio.sleep(0)

    async with places.one("other"):
        waiting = [asyncio.ensure_future(ask()) for _ in range(3)]
        await asyncio.sleep(0)
    waiting[0].cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting, return_exceptions=True)
    assert (places._free, dict(places._held)) == (1, {})


async def test_a_peer_has_only_so_many_connections_and_others_are_served(tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    path = tmp_path / "s"
    counted = bounded(protocol(5), most_of_a_peer=3)
    config = uvicorn.Config(app, uds=str(path), http=counted, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve())
    await eventually(lambda: server.started)
    ask = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    try:
        opened = []
        for _ in range(3):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(ask)
            assert b" 204 " in await reader.readuntil(b"\r\n\r\n")
            opened.append(writer)
        reader, _ = await asyncio.open_unix_connection(path)
        refused = await reader.read()
        assert b" 429 " in refused.splitlines()[0]
        assert json.loads(refused.partition(b"\r\n\r\n")[2])["error"]["message"]
        code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({str(path)!r}); s.sendall({ask!r}); "
        other = await asyncio.create_subprocess_exec(
            "python3", "-c", code + "print(s.recv(99))", stdout=asyncio.subprocess.PIPE
        )
        assert b" 204 " in (await other.communicate())[0]
        opened.pop().close()

        async def is_served() -> bool:
            again, asking = await asyncio.open_unix_connection(path)
            asking.write(ask)
            answered = await again.readuntil(b"\r\n")
            asking.close()
            return b" 204 " in answered

        await eventually(is_served)
    finally:
        server.should_exit = True
        await serving
