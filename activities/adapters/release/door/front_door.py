"""The front door of a machine: Caddy holds the public addresses of services and leads to what serves them.

Services listen on private addresses, so a new release starts beside the old one; then the door leads to it, and no
connection is refused meanwhile. Caddy is never told a new configuration: it would open all its addresses anew, and
connections that have just arrived at the old ones are lost. So where an address leads stands in a file that is read for
each request, and each address has a Caddy of its own: one that comes or goes concerns no other. `routes.json` is the
truth; the rest follows from it.

Standard library only: servers import it.
"""

import asyncio
import fcntl
import http.client
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Protocol

from activities.adapters.release.addresses import can_listen, foreign_port
from activities.adapters.release.directory import write_private
from activities.adapters.runs.states import RunAs
from contracts.errors import ErrorCode, OrchestratorError, end_of

LOOPBACK = "127.0.0.1"
CONFIG = "caddy.json"
"""In the directory of an address, as the two below."""
_TARGET = "target"
_SOCKET = "admin.sock"
_ROUTES = "routes.json"
_READY_S = 20.0
_LOOK_EVERY_S = 0.05
_LOCK_EVERY_S = 0.02
_CALL_S = 30.0
_DRAIN_S = 10.0
"""How long requests that the old release answers may take once the new one serves."""
_HELD = "5s"
"""How long the door tries to reach a service that is being started again, before its visitor is told."""


@dataclass(frozen=True)
class Route:
    """The public address of one service, and the private one behind it."""

    service: str
    bind: str
    port: int
    target: int
    host: str = LOOPBACK

    @property
    def behind(self) -> str:
        return f"{self.host}:{self.target}"

    @property
    def public(self) -> str:
        host = f"[{self.bind}]" if ":" in self.bind else self.bind
        return f"{host}:{self.port}"


Routes = dict[str, list[Route]]
"""By project."""


class Keeper(Protocol):
    """Keeps a Caddy running for each public address, with the configuration in its directory, until it is told to end
    it. Addresses go by name."""

    async def runs(self, name: str) -> bool: ...

    async def start(self, name: str) -> None:
        """Start it anew. Raises OrchestratorError PROCESS_FAILED (transient) if it cannot be started."""

    async def end(self, name: str) -> None: ...

    async def said(self, name: str) -> str:
        """The end of its log."""

    async def end_shared(self) -> bool:
        """End the one Caddy that held all addresses for an older platform; whether there was one."""


@dataclass(frozen=True)
class FrontDoor:
    """`root` is its directory, with one for each address. Caddy runs as `user`, else as the platform's own."""

    root: Path
    keeper: Keeper
    user: RunAs | None = None

    async def lead(self, project: str, routes: Iterable[Route]) -> None:
        """Have the public addresses of a project lead to these and no others; no other address notices.

        Raises PORT_TAKEN if a program that is not ours holds an address, and leads where it did before.
        """
        own = {_name(project, route): route for route in routes}
        async with self._alone():
            known = self._known()
            await self._replace_shared(known)
            before = {_name(project, route): route for route in known.get(project, [])}
            new = [route for name, route in own.items() if not await self._serves(name, route)]
            _check_free([route for route in new if route.public not in {one.public for one in before.values()}])
            for name, route in before.items():
                if name not in own or own[name].public != route.public:
                    await self._end(name)
            others = {name: kept for name, kept in known.items() if name != project}
            self._keep(others | ({project: list(own.values())} if own else {}))
            for name, route in own.items():
                self._point(name, route)
            try:
                await asyncio.gather(*(self._open(_name(project, route), route) for route in new))
            except OrchestratorError:
                await self._undo(known, before, own)
                raise

    async def close(self, project: str) -> None:
        """Free the project's addresses. Without any address nothing of the door runs."""
        await self.lead(project, [])

    async def restore(self) -> None:
        """Have a Caddy run for each address that is to lead anywhere."""
        async with self._alone():
            known = self._known()
            await self._replace_shared(known)
            await self._start(known)

    async def holds(self, project: str, port: int) -> bool:
        """Whether the door listens on this port for the project."""
        own = [route for route in self._known().get(project, []) if route.port == port]
        return True in [await self._serves(_name(project, route), route) for route in own]

    async def drained(self, project: str, targets: Iterable[str]) -> None:
        """Return when no request of the project is on its way to these private addresses, or after ten seconds."""
        behind, names = set(targets), [_name(project, route) for route in self._known().get(project, [])]
        until = asyncio.get_running_loop().time() + _DRAIN_S
        while asyncio.get_running_loop().time() < until:
            answers = [(await self._asked(name, "/reverse_proxy/upstreams"))[1] or [] for name in names]
            if not any(one["address"] in behind and one["num_requests"] for found in answers for one in found):
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _replace_shared(self, known: Routes) -> None:
        if await self.keeper.end_shared():
            for gone in ("targets", "admin.sock", CONFIG):
                path = self.root / gone
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            await self._start(known)

    async def _start(self, known: Routes) -> None:
        """Those that do not run. One that a foreign program holds is tried again until it is free."""
        for project, routes in known.items():
            for route in routes:
                if not await self.keeper.runs(name := _name(project, route)):
                    self._point(name, route)
                    await self.keeper.start(name)

    async def _open(self, name: str, route: Route) -> None:
        await self.keeper.end(name)
        _check_free([route])
        await self.keeper.start(name)
        until = asyncio.get_running_loop().time() + _READY_S
        while not await self._serves(name, route):
            if asyncio.get_running_loop().time() > until:
                raise _failed(route, await self.keeper.said(name))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _end(self, name: str) -> None:
        await self.keeper.end(name)
        shutil.rmtree(self.root / name, ignore_errors=True)

    async def _undo(self, known: Routes, before: dict[str, Route], own: dict[str, Route]) -> None:
        """Lead where it did; what does not serve there now is tried again by its keeper."""
        for name, route in own.items():
            if name not in before or before[name].public != route.public:
                await self._end(name)
        self._keep(known)
        for name, route in before.items():
            self._point(name, route)
            if not await self.keeper.runs(name):
                await self.keeper.start(name)

    def _point(self, name: str, route: Route) -> None:
        """From now on the address leads there. What Caddy is told with its next start is written, too."""
        directory = self.root / name
        directory.mkdir(mode=0o700, exist_ok=True)
        self._give(directory)
        config = json.dumps(_config(name, route, directory / _TARGET))
        for file, content in ((directory / CONFIG, config), (directory / _TARGET, route.behind)):
            draft = file.with_name(f".{file.name}")
            write_private(draft, content)
            self._give(draft)
            draft.replace(file)

    async def _serves(self, name: str, route: Route) -> bool:
        """Whether Caddy listens at the public address of this route."""
        status, found = await self._asked(name, "/config/apps/http/servers")
        return status == http.client.OK and [route.public] == ((found or {}).get(name) or {}).get("listen")

    def _known(self) -> Routes:
        try:
            found = json.loads((self.root / _ROUTES).read_text())
        except FileNotFoundError:
            return {}
        return {name: [Route(*one) for one in routes] for name, routes in found.items()}

    def _keep(self, routes: Routes) -> None:
        rows = {name: [list(astuple(route)) for route in kept] for name, kept in routes.items()}
        write_private(self.root / _ROUTES, json.dumps(rows))

    def _give(self, path: Path) -> None:
        """To the user whom Caddy runs as."""
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.gid)

    async def _asked(self, name: str, path: str) -> tuple[int, Any]:
        """The status and the document that Caddy answers; 0 when it cannot be reached."""
        return await asyncio.to_thread(_asked, self.root / name, path)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """One change at a time; the kernel frees the lock of a killed holder."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._give(self.root)
        lock = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            await _locked(lock)
            yield
        finally:
            os.close(lock)


async def _locked(lock: int) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_LOCK_EVERY_S)
        else:
            return


class _AdminConnection(http.client.HTTPConnection):
    """Through the directory's descriptor: the path of a socket may be at most 107 bytes long, that of a home more."""

    def __init__(self, directory: Path) -> None:
        super().__init__(LOOPBACK, timeout=_CALL_S)
        self._directory = directory

    def connect(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(_CALL_S)
            self.sock.connect(f"/proc/self/fd/{directory}/{_SOCKET}")
        finally:
            os.close(directory)


def _asked(directory: Path, path: str) -> tuple[int, Any]:
    connection = _AdminConnection(directory)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        said = response.read()
        return response.status, json.loads(said) if said.strip() else None
    except (OSError, http.client.HTTPException, ValueError):
        return 0, None
    finally:
        connection.close()


def _config(name: str, route: Route, target: Path) -> dict[str, Any]:
    """What Caddy is told: one public address, no certificates, and a socket that only we can open."""
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{{file.{target}}}"}],
        "load_balancing": {"try_duration": _HELD, "try_interval": "50ms"},
        "flush_interval": -1,
    }
    server = {
        "listen": [route.public],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [{"handle": [proxy]}],
    }
    return {
        "admin": {"listen": f"unix/{_SOCKET}|0600", "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN"}}},
        "apps": {"http": {"grace_period": f"{_DRAIN_S:g}s", "servers": {name: server}}},
    }


def _name(project: str, route: Route) -> str:
    """Neither slug nor service holds a dash, so this is unambiguous."""
    return f"{project}-{route.service}"


def _check_free(routes: Iterable[Route]) -> None:
    """Raises PORT_TAKEN if a program listens there."""
    for route in routes:
        if not can_listen(route.bind, route.port):
            raise _taken(route)


def _taken(route: Route) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.PORT_TAKEN, foreign_port(route.port, route.service), details={"port": route.port}
    )


def _failed(route: Route, said: str) -> OrchestratorError:
    if "address already in use" in said:
        return _taken(route)
    reason = f"The front door does not start at port {route.port}: {end_of(said, 1_000)}"
    return OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason)
