"""A small reverse proxy as an operator puts in front of the API: TLS, a login, and the person's name in a header."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import uvicorn
from playwright.async_api import HttpCredentials
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from cli.host.parts import environment
from tests.support.eventually import eventually
from tests.support.ports import any_free
from tests.support.stack import ROOT, Stack

_PASSWORD = "a password of the proxy"
_SECRET = "what only the proxy and the API know"
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "authorization"}
_NAMES = {"x-forwarded-user", "x-orchestrator-proxy-secret"}


@dataclass(frozen=True)
class Proxied:
    """An API at `behind`, for which people use `url`."""

    url: str
    behind: str
    stack: Stack

    def person(self, name: str) -> HttpCredentials:
        return {"username": name, "password": _PASSWORD}

    async def link_of(self, task_id: str) -> str:
        """The link that this API gives for a task."""
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {self.stack.admin_key()}"}) as http:
            reply = await http.get(f"{self.behind}/tasks/{task_id}")
        assert reply.status_code == 200, reply.text
        return str(reply.json()["web_url"])


@asynccontextmanager
async def proxied_api(stack: Stack, users: Mapping[str, int]) -> AsyncIterator[Proxied]:
    """One more API process of a running platform, and the proxy in front of it."""
    port, public = any_free(), any_free()
    running = Proxied(f"https://localhost:{public}", f"http://127.0.0.1:{port}", stack)
    extra = {
        "ORCHESTRATOR_API_PORT": str(port),
        "ORCHESTRATOR_PUBLIC_URL": running.url,
        "ORCHESTRATOR_TRUSTED_PROXIES": "127.0.0.1",
        "ORCHESTRATOR_PROXY_SECRET": _SECRET,
        "ORCHESTRATOR_PROXY_USERS": ",".join(f"{name}={user_id}" for name, user_id in users.items()),
    }
    with (stack.home / "logs" / "api-behind-proxy.log").open("ab") as log:
        api = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "api", cwd=ROOT, env=environment({**stack.env, **extra}), stdout=log, stderr=log
        )
    try:
        await eventually(lambda: _answers(running.behind), 60, message="the API behind the proxy")
        async with _proxy(running.behind, public):
            yield running
    finally:
        if api.returncode is None:
            api.terminate()
        await api.wait()


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient() as http:
        try:
            return (await http.get(f"{url}/health")).status_code == 200
        except httpx.TransportError:
            return False


@asynccontextmanager
async def _proxy(upstream: str, port: int) -> AsyncIterator[None]:
    with TemporaryDirectory(prefix="login-proxy-") as directory:
        key, certificate = _certificate(Path(directory))
        async with httpx.AsyncClient(base_url=upstream, timeout=60) as client:
            server = uvicorn.Server(
                uvicorn.Config(
                    _app(client), host="127.0.0.1", port=port, ssl_keyfile=key, ssl_certfile=certificate,
                    log_config=None, timeout_graceful_shutdown=2,
                )
            )  # fmt: skip
            # Without its signal handlers: the test process keeps its own.
            task = asyncio.create_task(server._serve())
            try:
                await eventually(lambda: server.started, 20, message="the proxy")
                yield
            finally:
                server.should_exit = True
                await task


def _certificate(directory: Path) -> tuple[Path, Path]:
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate


def _app(client: httpx.AsyncClient) -> Starlette:
    async def passed_on(request: Request) -> Response:
        name = _logged_in(request.headers.get("authorization", ""))
        if name is None:
            return Response("Who are you?", 401, {"WWW-Authenticate": 'Basic realm="proxy"'})
        return await _passed_on(client, request, name)

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(routes=[Route("/{rest:path}", passed_on, methods=methods)])


async def _passed_on(client: httpx.AsyncClient, request: Request, name: str) -> Response:
    # What the browser says about itself is replaced, never added to.
    kept = [(key, value) for key, value in request.headers.items() if key not in _HOP | _NAMES]
    ours = [
        ("X-Forwarded-User", name),
        ("X-Orchestrator-Proxy-Secret", _SECRET),
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
    ]
    target = request.scope["raw_path"] + (b"?" + request.scope["query_string"] if request.url.query else b"")
    built = client.build_request(
        request.method,
        client.base_url.copy_with(raw_path=target),
        headers=[*kept, *ours],
        content=await request.body(),
    )
    reply = await client.send(built, stream=True)
    streamed = StreamingResponse(reply.aiter_raw(), reply.status_code, background=BackgroundTask(reply.aclose))
    headers = [(key, value) for key, value in reply.headers.raw if key.decode().lower() not in _HOP]
    streamed.raw_headers = headers
    return streamed


def _logged_in(authorization: str) -> str | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    name, _, password = base64.b64decode(encoded).decode().partition(":")
    return name if password == _PASSWORD else None
