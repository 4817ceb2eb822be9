"""The process: opens everything, listens on a socket for containers and on loopback, and ends without losing a row."""

import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from api.database import make_engine, make_sessions
from api.edge.server import protocol
from api.model_proxy.accounts import Accounts
from api.model_proxy.admission.connections import bounded
from api.model_proxy.app import ModelProxy
from api.model_proxy.checking import Checks
from api.model_proxy.keys import Keys
from api.model_proxy.ledger import Ledger
from api.model_proxy.prices import Prices
from api.vault import Vault
from contracts.errors import ErrorCode, OrchestratorError
from contracts.project_settings import ProjectSettings
from runtime.keyring import KeyRing
from runtime.model_vendors import ANTHROPIC, OPENAI
from runtime.settings import Settings

_BACKLOG = 512
_CONNECT_S, _SEND_S = 10.0, 60.0
SHUTDOWN_S = 10
"""So long streams may go on after SIGTERM."""
_DIRECT = ("all://127.0.0.1", "all://localhost", "all://[::1]")

log = structlog.get_logger(__name__)


@asynccontextmanager
async def opened(settings: Settings, database_url: str) -> AsyncIterator[ModelProxy]:
    """The proxy, ready to answer. What the process before has left open is lost, and counts at its estimate."""
    engine = make_engine(database_url)
    sessions = make_sessions(engine)
    keys = Keys(settings, sessions, Vault(KeyRing.load(settings.vault_key_file)))
    ledger = Ledger(sessions, ProjectSettings())
    accounts = Accounts(ledger)
    accounts.add(ANTHROPIC, settings.anthropic_base_url, settings.model_requests)
    accounts.add(OPENAI, settings.openai_base_url, settings.model_requests)
    prices = Prices(Decimal(str(settings.unknown_price_input)), Decimal(str(settings.unknown_price_output)))
    try:
        lost = await ledger.lose_open()
        if lost:
            log.warning("requests of the process before were lost; they count at their estimate", requests=lost)
        await accounts.remember()
        async with _client(settings) as client:
            checks = Checks(client, keys, accounts)
            proxy = ModelProxy(ledger, keys, accounts, prices, client, checks, settings.model_vendor_tools)
            yield proxy
            await proxy.drain()
    finally:
        await engine.dispose()


def _client(settings: Settings) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=httpx.Timeout(settings.model_silence_s, connect=_CONNECT_S, write=_SEND_S, pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=50),
        follow_redirects=False,
        # A proxy of the environment is used for vendors, and never for a gateway on this machine.
        mounts={pattern: httpx.AsyncHTTPTransport() for pattern in _DIRECT},
    )


class _WithLifespan:
    """The proxy between the start and the end of uvicorn, which answers SIGTERM."""

    def __init__(self, settings: Settings, database_url: str) -> None:
        self._settings = settings
        self._database_url = database_url
        self._proxy: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http" and self._proxy is not None:
            await self._proxy(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with opened(self._settings, self._database_url) as self._proxy:
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except OrchestratorError as error:
            await send({"type": "lifespan.startup.failed", "message": error.message})
            return
        await send({"type": "lifespan.shutdown.complete"})


def serve(settings: Settings, database_url: str) -> None:
    """Answer until SIGTERM or SIGINT. Then open answers may pass for ten seconds; what is cut off is written down."""
    config = uvicorn.Config(
        _WithLifespan(settings, database_url),
        http=bounded(protocol(settings.header_timeout_s)),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    sockets = [listen(settings.model_socket), _loopback(settings.model_proxy_port)]
    uvicorn.Server(config).run(sockets=sockets)


def listen(path: Path) -> socket.socket:
    """A socket that everybody may use who sees its directory; one that a process before has left there is replaced.

    Containers see the directory and nothing else of the home.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.parent.chmod(0o755)
    if path.exists() and stat.S_ISSOCK(path.lstat().st_mode):
        path.unlink()
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The path of a socket has at most 107 characters, and that of a home may be longer.
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)
    path.chmod(0o666)
    return found


def _loopback(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(("127.0.0.1", port))
    except OSError as error:
        found.close()
        raise OrchestratorError(
            ErrorCode.CONFLICT,
            f"Another program uses port {port}, which the model proxy needs. Stop it, or choose another port with "
            "ORCHESTRATOR_MODEL_PROXY_PORT.",
        ) from error
    return found
