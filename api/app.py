"""The HTTP API: thin routes over the database, and the door to workflows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.types import Scope

from api import problems
from api.auth import hash_secret
from api.database import make_engine, make_sessions
from api.event_hub import EventHub
from api.gateway_link import GatewayLink, WorkflowGateway, fixed_gateway, temporal_gateway
from api.metrics import ApiMetrics, RequestMetrics
from api.middleware import BodyGuard, RequestContext
from api.queue_watch import Intervals, QueueWatch
from api.routers import (
    artifacts,
    chat,
    codec,
    departments,
    health,
    internal,
    metrics,
    project_secrets,
    projects,
    questions,
    queues,
    releases,
    servers,
    tasks,
    tokens,
    users,
    web_ui,
)
from api.state import Platform
from api.vault import Vault
from api.web_rights import WebRights
from api.web_sessions import WebSessions
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import Problem
from runtime import private_files, telemetry
from runtime.artifacts import DirectoryArtifactStore
from runtime.keyring import KeyRing
from runtime.settings import Settings

_ROUTERS = (
    health,
    metrics,
    users,
    tokens,
    projects,
    project_secrets,
    departments,
    tasks,
    artifacts,
    questions,
    queues,
    releases,
    servers,
    chat,
    codec,
    web_ui,
)

_UNTRACED = ("/health", "/metrics", "/ui-login", "/codec/", *web_ui.PATHS)
"""Asked every few seconds, or for a page by the dozen; and a link to log in is a secret as long as it works."""


def create_app(settings: Settings, *, database_url: str, gateway: WorkflowGateway | None = None) -> FastAPI:
    """The application. Nothing is opened before its lifespan begins.

    `database_url` is for SQLAlchemy with asyncpg; the schema must be there (`api.migrate`). Without `gateway`, Temporal
    is connected by the first request that needs it. The key files must exist (`api.bootstrap`).
    """

    telemetry.collect("api")
    measured = ApiMetrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        platform = _open(settings, database_url, gateway, measured)
        app.state.platform = platform
        platform.hub.start()
        platform.queues.start()
        try:
            yield
        finally:
            await platform.queues.close()
            await platform.web_ui.aclose()
            await platform.hub.close()
            await platform.engine.dispose()

    app = FastAPI(
        title="Codegen orchestrator",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry={"exclude": _is_untraced, "operation_spans": False, "metrics": False, "logs": False},
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
    )
    problems.install(app)
    for module in (*_ROUTERS, internal):
        app.include_router(module.router)
    app.add_middleware(BodyGuard)
    app.add_middleware(RequestMetrics, metrics=measured)
    # Added last, so it is the outermost.
    app.add_middleware(RequestContext)
    return app


def _is_untraced(scope: Scope) -> bool:
    return str(scope["path"]).startswith(_UNTRACED)


def _open(settings: Settings, database_url: str, gateway: WorkflowGateway | None, measured: ApiMetrics) -> Platform:
    engine = make_engine(database_url)
    sessions = make_sessions(engine)
    platform_key_hash = _key_hash(settings.api_service_key_file)
    link = GatewayLink(temporal_gateway(settings) if gateway is None else fixed_gateway(gateway))
    queues = QueueWatch(link, Intervals.of(settings))
    measured.watch(queues)
    return Platform(
        settings=settings,
        engine=engine,
        sessions=sessions,
        gateway=link,
        queues=queues,
        metrics=measured,
        hub=EventHub(engine),
        vault=Vault(KeyRing.load(settings.vault_key_file)),
        artifacts=DirectoryArtifactStore(settings.artifacts_dir),
        platform_key_hash=platform_key_hash,
        bot_key_hash=_key_hash(settings.bot_key_file),
        web_sessions=WebSessions(settings, platform_key_hash),
        web_rights=WebRights(sessions),
        web_ui=web_ui.connection(settings),
    )


def _key_hash(file: Path) -> str | None:
    try:
        return hash_secret(private_files.read(file).strip())
    except OrchestratorError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return None
