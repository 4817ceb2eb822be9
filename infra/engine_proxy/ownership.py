"""A name does not tell whose a container or a volume is: somebody else of this machine may have a `test-db`, too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import h11

from infra.engine_proxy.bodies import MARK
from infra.engine_proxy.refusals import Refused

_CHUNK = 64 * 1024
_MAX_REPLY = 4 * 1024**2
_LOOK_S = 30.0


async def refuse_foreign(engine: str, things: Iterable[str]) -> None:
    """Raises Refused if one of these exists without our mark. `things`: such as `volumes/venv-1`.

    Whatever is made through this proxy is marked. Nobody can take a mark away, or give one to what exists.
    """
    for thing in things:
        labels = await _labels(engine, thing)
        if labels is not None and MARK not in labels:
            raise Refused("it is about a container or a volume of somebody else")


async def _labels(engine: str, thing: str) -> dict[str, Any] | None:
    """The labels of what exists; None for what does not, or if there is no engine: then nothing is done anyway."""
    path = f"/{thing}/json" if thing.startswith("containers/") else f"/{thing}"
    try:
        async with asyncio.timeout(_LOOK_S):
            found = json.loads(await _read(engine, path))
    except (TimeoutError, h11.ProtocolError, ValueError):
        raise Refused("the Docker Engine does not say whose it is", status=503) from None
    except OSError:
        return None
    if not isinstance(found, dict):
        return None
    described = found.get("Config") if thing.startswith("containers/") else found
    return (described["Labels"] or {}) if isinstance(described, dict) and "Labels" in described else None


async def _read(engine: str, path: str) -> bytes:
    """The body of the engine's reply, or of its refusal."""
    reader, writer = await asyncio.open_unix_connection(engine)
    try:
        connection, body = h11.Connection(h11.CLIENT), bytearray()
        headers = [("Host", "docker"), ("Connection", "close")]
        writer.write(connection.send(h11.Request(method="GET", target=path, headers=headers)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        while not isinstance(event := connection.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK))
            elif isinstance(event, h11.Data):
                body += event.data
            if len(body) > _MAX_REPLY:
                raise ValueError("no description is so large")
        return bytes(body)
    finally:
        writer.close()
