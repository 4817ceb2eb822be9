"""The HTTP server: `/api/server…` and `/api/service…`, with planned faults. It refuses what it does not know."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import BasicAuth, web

from emulators.time4vps.account import OSES, Account, Machine, Task
from emulators.time4vps.faults import Fault, Faults, Kind

Handler = Callable[[web.Request], Awaitable[web.Response]]


def build(account: Account, faults: Faults) -> web.Application:
    """The API of one account, below `/api`, and planned faults at `/emulator/faults`."""
    server = _Server(account, faults)
    app = web.Application()
    for method, path, handler in (
        ("GET", "/server", server.machines),
        ("GET", "/server/{id}", server.machine),
        ("GET", "/server/{id}/oses", server.oses),
        ("GET", "/server/{id}/task/{task}", server.task),
        ("POST", "/server/{id}/reinstall", server.reinstall),
        ("POST", "/server/{id}/resetpassword", server.reset_password),
        ("GET", "/service/{id}", server.service),
    ):
        app.router.add_route(method, f"/api{path}", server.checked(handler))
    app.router.add_post("/emulator/faults", server.plan)
    return app


@asynccontextmanager
async def serving(account: Account, faults: Faults, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve while the block runs; yields the URL of the API. Port 0 takes a free one."""
    runner = web.AppRunner(build(account, faults), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}/api"
    finally:
        await runner.cleanup()


class _Server:
    def __init__(self, account: Account, faults: Faults) -> None:
        self._account = account
        self._faults = faults

    def checked(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            fault = self._faults.next(request.path)
            if fault is not None and (early := _before(request, fault)) is not None:
                return early
            if not self._is_login(request.headers.get("Authorization", "")):
                return web.json_response(Fault(Kind.LOGIN).body(), status=401)
            answer = await handler(request)
            return web.Response(status=500) if fault and fault.kind is Kind.ERROR_AFTER else answer

        return handle

    def _is_login(self, header: str) -> bool:
        try:
            login = BasicAuth.decode(header)
        except ValueError:
            return False
        return (login.login, login.password) == (self._account.username, self._account.password)

    async def plan(self, request: web.Request) -> web.Response:
        self._faults.plan(Fault(**{**await request.json(), "kind": Kind((await request.json())["kind"])}))
        return web.json_response({"planned": len(self._faults.planned)})

    async def machines(self, _request: web.Request) -> web.Response:
        found = self._account.machines.values()
        return web.json_response(
            [{"server_id": one.id, "domain": one.domain, "ip": one.ip, "label": "", "type": "KVM"} for one in found]
        )

    async def machine(self, request: web.Request) -> web.Response:
        machine = self._machine(request)
        active = machine.active
        if active is not None:
            self._account.look(active)
        done = [task.document() for task in machine.tasks if task.completed is not None]
        return web.json_response(
            {
                "package_id": 11, "domain": machine.domain, "label": "", "status": "Active", "cpu_cores": 2,
                "ram_limit": 4096, "ram_used": 56, "disk_limit": 81920, "disk_usage": 859, "os": machine.os,
                "ip": machine.ip, "additional_ip": [], "dns_servers": None, "components": [],
                "active_task": machine.active.document() if machine.active else None,
                "last_tasks": done or None,
            }
        )  # fmt: skip

    async def oses(self, request: web.Request) -> web.Response:
        self._machine(request)
        return web.json_response([{"os": name, "title": name} for name in OSES])

    async def task(self, request: web.Request) -> web.Response:
        found = [task for task in self._machine(request).tasks if str(task.id) == request.match_info["task"]]
        if not found:
            raise _refusal(web.HTTPNotFound, "task not found")
        return web.json_response(self._account.look(found[0]).document())

    async def service(self, request: web.Request) -> web.Response:
        machine = self._machine(request)
        return web.json_response(
            {
                "service": {
                    "id": str(machine.id), "domain": machine.domain, "total": machine.price,
                    "billingcycle": "Monthly", "status": "Active", "name": "Linux 4",
                }
            }
        )  # fmt: skip

    async def reinstall(self, request: web.Request) -> web.Response:
        body = await self._body(request, {"os", "ssh_key", "script"})
        if body.get("os") not in OSES:
            raise _refusal(web.HTTPBadRequest, "invalid os")
        machine = self._idle(request)
        return _begun(self._account.reinstall(machine, body["os"], body.get("ssh_key", "")))

    async def reset_password(self, request: web.Request) -> web.Response:
        await self._body(request, set())
        return _begun(self._account.reset_password(self._idle(request)))

    async def _body(self, request: web.Request, known: set[str]) -> dict[str, str]:
        try:
            body = await request.json() if request.can_read_body else {}
        except ValueError:
            raise _refusal(web.HTTPBadRequest, "not json") from None
        if not isinstance(body, dict) or set(body) - known:
            raise _refusal(web.HTTPBadRequest, "unknown field")
        return body

    def _idle(self, request: web.Request) -> Machine:
        machine = self._machine(request)
        if machine.active is not None:
            raise _refusal(web.HTTPConflict, "server is busy")
        return machine

    def _machine(self, request: web.Request) -> Machine:
        number = request.match_info["id"]
        machine = self._account.machines.get(int(number)) if number.isdecimal() else None
        if machine is None:
            raise _refusal(web.HTTPNotFound, "server not found")
        return machine


def _before(request: web.Request, fault: Fault) -> web.Response | None:
    """The answer of a fault that strikes before the effect."""
    if fault.is_unauthorized:
        return web.json_response(fault.body(), status=401)
    if fault.kind is Kind.ERROR_BEFORE:
        return web.Response(status=500)
    if fault.kind is Kind.PAGE:
        return web.Response(text="<html><h1>We are down for maintenance</h1></html>", content_type="text/html")
    if fault.kind is Kind.DROP:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=502)
    return None


def _begun(task: Task) -> web.Response:
    return web.json_response({"task_id": task.id})


def _refusal(kind: type[web.HTTPException], word: str) -> web.HTTPException:
    return kind(text=json.dumps({"error": [word]}), content_type="application/json")
