"""One connection of a caller: its calls one after the other, each over a connection of its own to the engine.

h11 reads and writes both sides, so what reaches the engine is framed by us: a length or an encoding that two readers
could take differently ends here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator

import h11

from infra.engine_proxy.calls import Call, known_call
from infra.engine_proxy.ownership import refuse_foreign
from infra.engine_proxy.refusals import Refused

MAX_DESCRIPTION = 128 * 1024
"""Of a container with the longest wish; what is larger is no description."""
_CHUNK = 256 * 1024
_MAX_AHEAD = 64 * 1024
_LINGER_S = 2.0
_REQUEST_S = 300.0
"""How long a caller may be silent between two calls, and take to say what it wants."""
_KEPT = frozenset({b"content-type", b"content-length", b"x-docker-container-path-stat", b"api-version", b"ostype"})
"""Headers of the engine's replies that the caller's library reads."""


class Gone(Exception):
    """The caller, or the engine, closed the connection in the middle."""


class Passage:
    """`engine` is the path of the engine's socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, engine: str) -> None:
        self._reader = reader
        self._writer = writer
        self._engine = engine
        self._caller = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * 1024)

    async def serve(self) -> None:
        """Until the caller leaves, or a call is refused or broken."""
        try:
            while await self._one_call():
                self._caller.start_next_cycle()
        except (Gone, OSError, TimeoutError, h11.ProtocolError, asyncio.IncompleteReadError):
            return
        finally:
            self._writer.close()

    async def _one_call(self) -> bool:
        """Whether another call may follow on this connection."""
        try:
            async with asyncio.timeout(_REQUEST_S):
                request = await self._next_event()
                if not isinstance(request, h11.Request):
                    return False
                call = _understood(request)
                body = await self._small_body(call)
                await refuse_foreign(self._engine, call.things(body))
        except h11.RemoteProtocolError as error:
            await self._refuse(Refused("it is not one plain HTTP/1.1 request", error.error_status_hint))
            return False
        except Refused as refused:
            await self._refuse(refused)
            return False
        await self._pass_on(call, request, body)
        return self._caller.our_state is h11.DONE and self._caller.their_state is h11.DONE

    async def _small_body(self, call: Call) -> bytes:
        """The whole body of a call without an archive, as the engine gets it."""
        if call.body == "archive":
            return b""
        content = bytearray()
        async for chunk in self._body():
            content += chunk
            if call.body == "none":
                raise Refused("no body belongs to it", status=400)
            if len(content) > MAX_DESCRIPTION:
                raise Refused("its description is too large", status=413)
        return b"" if call.body == "none" else call.described(bytes(content))

    async def _body(self) -> AsyncIterator[bytes]:
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise Gone

    async def _pass_on(self, call: Call, request: h11.Request, body: bytes) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(self._engine)
        except OSError:
            await self._answer(503, "the Docker Engine of this machine does not answer")
            return
        sending = None
        try:
            engine = h11.Connection(h11.CLIENT, max_incomplete_event_size=256 * 1024)
            await _send(writer, engine, _request_of(call, request, body))
            sending = asyncio.ensure_future(self._send_body(call, body, writer, engine))
            await self._bring_back(sending, reader, engine)
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.wait({sending})
            writer.close()

    async def _send_body(self, call: Call, body: bytes, writer: asyncio.StreamWriter, engine: h11.Connection) -> None:
        """To the engine; then watch whether the caller is still there, as one that follows a log may leave."""
        pieces = self._body() if call.body == "archive" else _once(body)
        with contextlib.suppress(ConnectionError):
            async for piece in pieces:
                await _send(writer, engine, h11.Data(data=piece))
            await _send(writer, engine, h11.EndOfMessage())
        # An engine that refuses an archive does not read it to its end; its reply is still to be brought back.
        async for _ in pieces:
            continue
        ahead = 0
        while chunk := await self._reader.read(_CHUNK):
            self._caller.receive_data(chunk)
            ahead += len(chunk)
            if ahead > _MAX_AHEAD:
                return

    async def _bring_back(
        self, watching: asyncio.Task[None], reader: asyncio.StreamReader, engine: h11.Connection
    ) -> None:
        answering = asyncio.ensure_future(self._reply(reader, engine))
        try:
            await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                # The caller has gone, or broke the rules of HTTP.
                raise Gone
            answering.result()
        finally:
            answering.cancel()
            await asyncio.wait({answering})

    async def _reply(self, reader: asyncio.StreamReader, engine: h11.Connection) -> None:
        while True:
            event = engine.next_event()
            if event is h11.NEED_DATA:
                engine.receive_data(await reader.read(_CHUNK))
            elif isinstance(event, h11.Response):
                headers = [(name, value) for name, value in event.headers if name in _KEPT]
                await self._send(h11.Response(status_code=event.status_code, headers=headers))
            elif isinstance(event, h11.Data):
                await self._send(h11.Data(data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                await self._send(h11.EndOfMessage())
                return
            elif not isinstance(event, h11.InformationalResponse):
                raise Gone

    async def _refuse(self, refused: Refused) -> None:
        peer = self._writer.get_extra_info("peername")
        sys.stderr.write(f"refused a call of {peer[0] if peer else 'a caller'}: {refused.reason}\n")
        await self._answer(refused.status, f"refused by the engine proxy of this platform: {refused.reason}")
        # What is still on its way is read: a reset would take the answer with it.
        self._writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while await self._reader.read(_CHUNK):
                    continue

    async def _answer(self, status: int, message: str) -> None:
        if self._caller.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        content = json.dumps({"message": message}).encode()
        length = str(len(content))
        headers = [("Content-Type", "application/json"), ("Content-Length", length), ("Connection", "close")]
        await self._send(h11.Response(status_code=status, headers=headers))
        await self._send(h11.Data(data=content))
        await self._send(h11.EndOfMessage())

    async def _next_event(self) -> object:
        while (event := self._caller.next_event()) is h11.NEED_DATA:
            if self._caller.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            chunk = await self._reader.read(_CHUNK)
            self._caller.receive_data(chunk)
        return event

    async def _send(self, event: h11.Event) -> None:
        await _send(self._writer, self._caller, event)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


def _understood(request: h11.Request) -> Call:
    """The call; raises Refused for one that is not known, or whose body has no length."""
    names = [name for name, _ in request.headers]
    if b"upgrade" in names or request.http_version != b"1.1":
        raise Refused("it wants another protocol", status=400)
    if b"transfer-encoding" in names or names.count(b"content-length") > 1:
        raise Refused("a body needs a length", status=400)
    try:
        return known_call(request.method.decode(), request.target.decode("ascii"))
    except UnicodeDecodeError:
        raise Refused("its address is not plain text", status=400) from None


def _request_of(call: Call, request: h11.Request, body: bytes) -> h11.Request:
    """The same call in our own words: no header of the caller's but the length of an archive."""
    headers = [("Host", "docker"), ("Connection", "close")]
    if call.body == "archive":
        length = next((value.decode() for name, value in request.headers if name == b"content-length"), "0")
        headers += [("Content-Type", "application/x-tar"), ("Content-Length", length)]
    elif body:
        headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    elif call.method == "POST":
        headers += [("Content-Length", "0")]
    return h11.Request(method=call.method, target=call.target, headers=headers)


async def _send(writer: asyncio.StreamWriter, connection: h11.Connection, event: h11.Event) -> None:
    data = connection.send(event)
    if data:
        writer.write(data)
        await writer.drain()
