"""The front door of this machine: one Caddy that holds the public addresses of services and leads to what serves them.

Services listen on private ports, so a new release starts beside the old one; then the door leads to it, and no
connection is refused meanwhile. Where an address leads stands in a file that Caddy reads for each request: to be told a
new configuration it would open its addresses anew, and connections that have just arrived at the old ones are lost.
`routes.json` is the truth: what Caddy was told follows from it, and it is told again after a crash.
"""

import asyncio
import http.client
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activities.adapters.release.addresses import can_listen, foreign_port
from activities.adapters.release.directory import write_private
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.states import RunAs
from activities.adapters.runs.supervisor import SupervisedCommand, Supervisor
from contracts.errors import ErrorCode, OrchestratorError, bounded
from runtime.other_users import blocked_at
from runtime.private_files import make_directory

RUN = "front-door"
_CONFIG = "caddy.json"
_ROUTES = "routes.json"
_TARGETS = "targets"
_SOCKET = "admin.sock"
_READY_S = 20.0
_LOOK_EVERY_S = 0.05
_CALL_S = 30.0
_DRAIN_S = 10.0
"""How long requests that the old release answers may take once the new one serves."""
_HELD = "5s"
"""How long the door tries to reach a service that is being started again, before its visitor is told."""
_STOP_GRACE_S = 3.0


@dataclass(frozen=True)
class Route:
    """The public address of one service, and the private port behind it."""

    service: str
    bind: str
    port: int
    target: int

    @property
    def behind(self) -> str:
        return f"127.0.0.1:{self.target}"

    @property
    def address(self) -> tuple[str, str, int]:
        """What Caddy is told of it."""
        return self.service, self.bind, self.port


@dataclass(frozen=True)
class FrontDoor:
    """`root` is its directory, `program` is Caddy. It runs as `user`, else as the platform's own."""

    root: Path
    supervisor: Supervisor
    program: Path
    user: RunAs | None = None

    async def lead(self, project: str, routes: Iterable[Route]) -> None:
        """Have the public addresses of a project lead to these and no others; no other project notices.

        Raises PLAYBOOK_FAILED if a program that is not ours holds an address, and leads where it did before.
        """
        own = list(routes)
        async with file_lock(self.root / ".lock"):
            others = {name: kept for name, kept in self._known().items() if name != project}
            if not others and not own:
                self._keep({})
                await self._end()
                return
            if self.supervisor.status(RUN).state != "running":
                await self._start(others)
            await self._change(project, own)

    async def close(self, project: str) -> None:
        """Free the project's addresses. Without any address the door does not run."""
        await self.lead(project, [])

    def holds(self, port: int) -> bool:
        """Whether a running door listens on this port."""
        ports = {route.port for routes in self._known().values() for route in routes}
        return port in ports and self.supervisor.status(RUN).state == "running"

    async def drained(self, targets: Iterable[int]) -> None:
        """Return when no request is on its way to these private ports, or after ten seconds."""
        behind = {f"127.0.0.1:{target}" for target in targets}
        until = asyncio.get_running_loop().time() + _DRAIN_S
        while asyncio.get_running_loop().time() < until:
            _, found = await self._call("GET", "/reverse_proxy/upstreams")
            if not any(one["address"] in behind and one["num_requests"] for one in found or []):
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _change(self, project: str, own: list[Route]) -> None:
        before = self._known()
        wanted = {name: kept for name, kept in before.items() if name != project} | ({project: own} if own else {})
        self._point({project: own})
        old = before.get(project, [])
        if [one.address for one in old] != [one.address for one in own]:
            status, said = await self._call("POST", "/load", config(self.root, wanted))
            if status != http.client.OK:
                self._point({project: old})
                raise _refused(own, said)
        if before != wanted:
            self._keep(wanted)

    def _point(self, routes: dict[str, list[Route]]) -> None:
        """From now on these addresses lead to their targets."""
        make_directory(self.root / _TARGETS)
        self._give(self.root / _TARGETS)
        for project, kept in routes.items():
            for route in kept:
                file = _target_file(self.root, project, route.service)
                draft = file.with_name(f".{file.name}")
                write_private(draft, route.behind)
                self._give(draft)
                draft.replace(file)

    async def _start(self, routes: dict[str, list[Route]]) -> None:
        """With the addresses that can be had: one that a foreign program holds must not close the door for all."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._give(self.root)
        free = {name: [one for one in kept if can_listen(one.bind, one.port)] for name, kept in routes.items()}
        self._point(free)
        self._keep(free)
        await self._end()
        values = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(self.root)) | {"PATH": os.defpath}
        argv = [str(self.program), "run", "--config", str(self.root / _CONFIG)]
        await self.supervisor.start(SupervisedCommand(RUN, argv, self.root, values, restart=True, user=self.user))
        await self._answers()

    async def _end(self) -> None:
        await self.supervisor.stop(RUN, _STOP_GRACE_S)
        await asyncio.to_thread(self.supervisor.remove, RUN)

    async def _answers(self) -> None:
        until = asyncio.get_running_loop().time() + _READY_S
        while (await self._call("GET", "/config/"))[0] != http.client.OK:
            if asyncio.get_running_loop().time() > until:
                said = self.supervisor.read_output(RUN, 0)[0].decode(errors="replace").strip()[-1_000:]
                raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, f"The front door does not start: {said}")
            await asyncio.sleep(_LOOK_EVERY_S)

    def _known(self) -> dict[str, list[Route]]:
        try:
            found = json.loads((self.root / _ROUTES).read_text())
        except FileNotFoundError:
            return {}
        return {name: [Route(*one) for one in routes] for name, routes in found.items()}

    def _keep(self, routes: dict[str, list[Route]]) -> None:
        rows = {name: [[r.service, r.bind, r.port, r.target] for r in kept] for name, kept in routes.items()}
        write_private(self.root / _CONFIG, json.dumps(config(self.root, routes)))
        self._give(self.root / _CONFIG)
        write_private(self.root / _ROUTES, json.dumps(rows))
        self._forget(routes)

    def _forget(self, routes: dict[str, list[Route]]) -> None:
        used = {_target_file(self.root, project, one.service) for project, kept in routes.items() for one in kept}
        for file in (self.root / _TARGETS).glob("*"):
            if file not in used:
                file.unlink(missing_ok=True)

    def _give(self, path: Path) -> None:
        """To the user whom Caddy runs as."""
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.gid)

    async def _call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """The status and the document that Caddy answers; 0 when it cannot be reached."""
        return await asyncio.to_thread(_asked, self.root, method, path, body)


class _AdminConnection(http.client.HTTPConnection):
    """Through the directory's descriptor: the path of a socket may be at most 107 bytes long, that of a home more."""

    def __init__(self, root: Path) -> None:
        super().__init__("127.0.0.1", timeout=_CALL_S)
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


def config(root: Path, routes: dict[str, list[Route]]) -> dict[str, Any]:
    """What Caddy is told: one server for each public address, no certificates, and a socket that only we can open."""
    servers = {
        f"{project}-{route.service}": _server(route, _target_file(root, project, route.service))
        for project, kept in routes.items()
        for route in kept
    }
    return {
        "admin": {"listen": f"unix/{_SOCKET}|0600", "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN"}}},
        "apps": {"http": {"grace_period": f"{_DRAIN_S:g}s", "servers": servers}},
    }


def _target_file(root: Path, project: str, service: str) -> Path:
    return root / _TARGETS / f"{project}-{service}"


def _server(route: Route, target: Path) -> dict[str, Any]:
    host = f"[{route.bind}]" if ":" in route.bind else route.bind
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{{file.{target}}}"}],
        "load_balancing": {"try_duration": _HELD, "try_interval": "50ms"},
        "flush_interval": -1,
    }
    return {
        "listen": [f"{host}:{route.port}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [{"handle": [proxy]}],
    }


def front_door(home: Path, user: RunAs | None) -> FrontDoor | None:
    """The front door of an installation; None where there is no Caddy: then a switch stops the old release first."""
    program = shutil.which(
        "caddy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    )
    if program is None:
        return None
    may_run = user is not None and blocked_at(Path(program)) is None
    return FrontDoor(home / "front-door", Supervisor(home / "runs"), Path(program), user if may_run else None)


def _refused(routes: list[Route], said: object) -> OrchestratorError:
    taken = [route for route in routes if f":{route.port}:" in str(said) and "address already in use" in str(said)]
    if taken:
        return OrchestratorError(
            ErrorCode.PORT_TAKEN, foreign_port(taken[0].port, taken[0].service), details={"port": taken[0].port}
        )
    reason = f"The front door refused the release's addresses: {bounded(str(said), 1_000)}"
    return OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason)
