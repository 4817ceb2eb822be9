"""`python3 -m infra.engine_proxy [ADDRESS:PORT] [SOCKET]`: serve until told to end."""

from __future__ import annotations

import asyncio
import signal
import sys

from infra.engine_proxy.passage import Passage

_CONNECTIONS = 400


async def serve(host: str, port: int, engine: str) -> None:
    """Until TERM or INT. Prints the address once it can be reached."""
    places = asyncio.Semaphore(_CONNECTIONS)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with places:
            await Passage(reader, writer, engine).serve()

    server = await asyncio.start_server(pass_on, host, port, limit=256 * 1024)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    bound = server.sockets[0].getsockname()
    sys.stdout.write(f"listening on {bound[0]}:{bound[1]}\n")
    sys.stdout.flush()
    await ended.wait()
    server.close()


def main() -> None:
    host, _, port = (sys.argv[1] if len(sys.argv) > 1 else "0.0.0.0:2375").rpartition(":")
    asyncio.run(serve(host, int(port), sys.argv[2] if len(sys.argv) > 2 else "/var/run/docker.sock"))


if __name__ == "__main__":
    main()
