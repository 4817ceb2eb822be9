"""The front door of a machine: one Caddy that holds the public addresses of services and leads to what serves them.

Services listen on private addresses, so a new release starts beside the old one; then the door leads to it, and no
connection is refused meanwhile. Where an address leads stands in a file that Caddy reads for each request: to be told a
new configuration it would open its addresses anew, and connections that have just arrived at the old ones are lost.
`routes.json` is the truth: what Caddy was told follows from it, and it is told again after a crash.

Standard library only: servers import it.
"""

import asyncio
import fcntl
import http.client
import json
import os
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Protocol

from activities.adapters.release.addresses import can_listen, foreign_port
from activities.adapters.release.directory import write_private
from activities.adapters.runs.states import RunAs
from contracts.errors import ErrorCode, OrchestratorError, bounded, end_of

LOOPBACK = "127.0.0.1"
CONFIG = "caddy.json"
_ROUTES = "routes.json"
_TARGETS = "targets"
_SOCKET = "admin.sock"
_READY_S = 20.0
_LOOK_EVERY_S = 0.05
_LOCK_EVERY_S = 0.02
_CALL_S = 30.0
_DRAIN_S = 10.0
"""How long requests that the old release answers may take once the new one serves."""
_HELD = "5s"
"""How long the door tries to reach a service that is being started again, before its visitor is told."""

Servers = dict[str, Any]
"""What Caddy is told of each public address, by name."""


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


Routes = dict[str, list[Route]]
"""By project."""


class Keeper(Protocol):
    """Keeps Caddy running, with the configuration in the door's directory, until it is told to end it."""

    async def runs(self) -> bool: ...

    async def start(self) -> None:
        """Start it anew. Raises OrchestratorError PROCESS_FAILED (transient) if it cannot be started."""

    async def end(self) -> None: ...

    async def said(self) -> str:
        """The end of its log."""


@dataclass(frozen=True)
class FrontDoor:
    """`root` is its directory. Caddy runs as `user`, else as the platform's own."""

    root: Path
    keeper: Keeper
    user: RunAs | None = None

    async def lead(self, project: str, routes: Iterable[Route]) -> None:
        """Have the public addresses of a project lead to these and no others; no other project notices.

        Raises PORT_TAKEN if a program that is not ours holds an address, and leads where it did before.
        """
        own = list(routes)
        async with self._alone():
            others = {name: kept for name, kept in self._known().items() if name != project}
            if not others and not own:
                self._keep({})
                await self.keeper.end()
                return
            if not await self.keeper.runs():
                await self._start(others)
            await self._change(project, own)

    async def close(self, project: str) -> None:
        """Free the project's addresses. Without any address the door does not run."""
        await self.lead(project, [])

    async def restore(self) -> None:
        """Have the door run if an address is to lead anywhere."""
        async with self._alone():
            if (known := self._known()) and not await self.keeper.runs():
                await self._start(known)

    async def holds(self, project: str, port: int) -> bool:
        """Whether the door listens on this port for the project."""
        own = [route for route in self._known().get(project, []) if route.port == port]
        servers = (await self._servers() or {}) if own else {}
        return any(servers.get(_name(project, route)) == self._server(project, route) for route in own)

    async def drained(self, targets: Iterable[str]) -> None:
        """Return when no request is on its way to these private addresses, or after ten seconds."""
        behind = set(targets)
        until = asyncio.get_running_loop().time() + _DRAIN_S
        while asyncio.get_running_loop().time() < until:
            _, found = await self._call("GET", "/reverse_proxy/upstreams")
            if not any(one["address"] in behind and one["num_requests"] for one in found or []):
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    def configure(self) -> None:
        """Write what Caddy is told when it starts: the addresses that can be had. One that a foreign program holds must
        not close the door for all."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._give(self.root)
        known = self._known()
        self._point(known)
        free = {name: [one for one in kept if can_listen(one.bind, one.port)] for name, kept in known.items()}
        self._tell(self._all_servers(free))

    async def _change(self, project: str, own: list[Route]) -> None:
        before, now = self._known(), await self._answering()
        wanted = {name: kept for name, kept in before.items() if name != project} | ({project: own} if own else {})
        servers = self._all_servers({name: self._to_be_had(name, wanted[name], project, now) for name in wanted})
        self._point({project: own})
        if servers != now:
            status, said = await self._call("POST", "/load", _config(servers))
            if status != http.client.OK:
                self._point({project: before.get(project, [])})
                raise _refused(own, said)
            self._tell(servers)
        if before != wanted:
            self._keep(wanted)

    def _to_be_had(self, name: str, routes: list[Route], project: str, now: Servers) -> list[Route]:
        """Of another project, what is served now or could be: what a foreign program holds is left out."""

        def served(route: Route) -> bool:
            return bool(now.get(_name(name, route)) == self._server(name, route))

        return [one for one in routes if name == project or served(one) or can_listen(one.bind, one.port)]

    def _point(self, routes: Routes) -> None:
        """From now on these addresses lead to their targets."""
        (self.root / _TARGETS).mkdir(mode=0o700, exist_ok=True)
        self._give(self.root / _TARGETS)
        for project, kept in routes.items():
            for route in kept:
                file = self._target(project, route)
                draft = file.with_name(f".{file.name}")
                write_private(draft, route.behind)
                self._give(draft)
                draft.replace(file)

    async def _start(self, routes: Routes) -> None:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keep(routes)
        self.configure()
        await self.keeper.start()
        await self._answering()

    async def _answering(self) -> Servers:
        """What the door serves, once it answers."""
        until = asyncio.get_running_loop().time() + _READY_S
        while (servers := await self._servers()) is None:
            if asyncio.get_running_loop().time() > until:
                said = end_of(await self.keeper.said(), 1_000)
                raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, f"The front door does not start: {said}")
            await asyncio.sleep(_LOOK_EVERY_S)
        return servers

    async def _servers(self) -> Servers | None:
        """What the door serves; None when it does not answer."""
        status, found = await self._call("GET", "/config/apps/http/servers")
        return (found or {}) if status == http.client.OK else None

    def _known(self) -> Routes:
        try:
            found = json.loads((self.root / _ROUTES).read_text())
        except FileNotFoundError:
            return {}
        return {name: [Route(*one) for one in routes] for name, routes in found.items()}

    def _keep(self, routes: Routes) -> None:
        if routes or self.root.is_dir():
            rows = {name: [list(astuple(route)) for route in kept] for name, kept in routes.items()}
            write_private(self.root / _ROUTES, json.dumps(rows))
            self._forget(routes)

    def _forget(self, routes: Routes) -> None:
        used = {self._target(project, one) for project, kept in routes.items() for one in kept}
        for file in (self.root / _TARGETS).glob("*"):
            if file not in used:
                file.unlink(missing_ok=True)

    def _tell(self, servers: Servers) -> None:
        """With the next start."""
        write_private(self.root / CONFIG, json.dumps(_config(servers)))
        self._give(self.root / CONFIG)

    def _give(self, path: Path) -> None:
        """To the user whom Caddy runs as."""
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.gid)

    def _target(self, project: str, route: Route) -> Path:
        return self.root / _TARGETS / _name(project, route)

    def _all_servers(self, routes: Routes) -> Servers:
        return {_name(project, one): self._server(project, one) for project, kept in routes.items() for one in kept}

    def _server(self, project: str, route: Route) -> dict[str, Any]:
        host = f"[{route.bind}]" if ":" in route.bind else route.bind
        proxy = {
            "handler": "reverse_proxy",
            "upstreams": [{"dial": f"{{file.{self._target(project, route)}}}"}],
            "load_balancing": {"try_duration": _HELD, "try_interval": "50ms"},
            "flush_interval": -1,
        }
        return {
            "listen": [f"{host}:{route.port}"],
            "protocols": ["h1"],
            "automatic_https": {"disable": True},
            "routes": [{"handle": [proxy]}],
        }

    async def _call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """The status and the document that Caddy answers; 0 when it cannot be reached."""
        return await asyncio.to_thread(_asked, self.root, method, path, body)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """One change at a time; the kernel frees the lock of a killed holder."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
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

    def __init__(self, root: Path) -> None:
        super().__init__(LOOPBACK, timeout=_CALL_S)
        self._root = root

    def connect(self) -> None:
        directory = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(_CALL_S)
            self.sock.connect(f"/proc/self/fd/{directory}/{_SOCKET}")
        finally:
            os.close(directory)


def _asked(root: Path, method: str, path: str, body: object) -> tuple[int, Any]:
    connection = _AdminConnection(root)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
        response = connection.getresponse()
        said = response.read()
        return response.status, json.loads(said) if said.strip() else None
    except (OSError, http.client.HTTPException, ValueError):
        return 0, None
    finally:
        connection.close()


def _config(servers: Servers) -> dict[str, Any]:
    """What Caddy is told: one server for each public address, no certificates, and a socket that only we can open."""
    return {
        "admin": {"listen": f"unix/{_SOCKET}|0600", "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN"}}},
        "apps": {"http": {"grace_period": f"{_DRAIN_S:g}s", "servers": servers}},
    }


def _name(project: str, route: Route) -> str:
    """Neither slug nor service holds a dash, so this is unambiguous."""
    return f"{project}-{route.service}"


def _refused(routes: list[Route], said: object) -> OrchestratorError:
    taken = [route for route in routes if f":{route.port}:" in str(said) and "address already in use" in str(said)]
    if taken:
        return OrchestratorError(
            ErrorCode.PORT_TAKEN, foreign_port(taken[0].port, taken[0].service), details={"port": taken[0].port}
        )
    reason = f"The front door refused the release's addresses: {bounded(str(said), 1_000)}"
    return OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason)
