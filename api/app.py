"""The HTTP API: thin routes over the database and over workflows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.types import Scope

from api import problems
from api.artifacts import routes as artifacts
from api.audit import routes as audit
from api.auth import ServiceKeys, hash_secret
from api.chat import routes as chat
from api.checks import routes as checks
from api.costs import routes as costs
from api.credentials import routes as credentials
from api.database import make_engine, make_sessions
from api.edge import openapi
from api.gateway import GatewayLink, WorkflowGateway, fixed_gateway, temporal_gateway
from api.git import routes as git
from api.git.backend import GitBackend
from api.git.basic import GitSignIn
from api.health import routes as health
from api.internal import routes as internal
from api.internal import servers as internal_servers
from api.leaving import routes as leaving
from api.memory import routes as memory
from api.metrics import routes as metrics
from api.metrics.middleware import RequestMetrics
from api.metrics.registry import ApiMetrics
from api.middleware.admission import SMALL_BODY_BYTES, Admission, AdmissionGuard
from api.middleware.own_hosts import OwnHosts
from api.middleware.requests import BodyGuard, RequestContext
from api.models import routes as models
from api.projects import routes as projects
from api.questions import routes as questions
from api.queues import routes as queues
from api.queues.disks import DiskWatch
from api.queues.tracker import Intervals
from api.queues.watch import QueueWatch
from api.releases import routes as releases
from api.secrets import platform as platform_secrets
from api.secrets import routes as secrets
from api.servers import approving as server_approvals
from api.servers import routes as servers
from api.settings import routes as settings_routes
from api.state import Platform
from api.tasks import routes as tasks
from api.tasks.event_hub import EventHub
from api.tokens import routes as tokens
from api.users import routes as users
from api.users.quotas import Quotas
from api.vault import Vault
from api.web_ui import routes as web_ui
from api.web_ui.access import is_viewer
from api.web_ui.parts import WebUi
from api.work import routes as work
from api.workers import routes as workers
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import Problem
from runtime import private_files
from runtime.artifacts import DirectoryArtifactStore
from runtime.keyring import KeyRing
from runtime.observability import telemetry
from runtime.settings import WEB_UI_PATH, Settings

_ROUTES = (
    health,
    metrics,
    users,
    leaving,
    tokens,
    credentials,
    audit,
    projects,
    checks,
    memory,
    secrets,
    platform_secrets,
    work,
    tasks,
    workers,
    artifacts,
    questions,
    queues,
    releases,
    servers,
    server_approvals,
    settings_routes,
    costs,
    chat,
    web_ui,
    git,
    internal,
    internal_servers,
    models,
)

_UNTRACED = ("/health", "/metrics", "/ui-login", "/codec/", WEB_UI_PATH)
"""Requested every few seconds, or by the dozen for one page; and a login link is a secret until it is used."""


def create_app(settings: Settings, *, database_url: str, gateway: WorkflowGateway | None = None) -> FastAPI:
    """The application. It opens nothing before its lifespan begins.

    `database_url` is for SQLAlchemy with asyncpg; the schema must exist (`api.migrate`). Without `gateway`, the first
    request that needs Temporal connects to it. The key files must exist (`api.bootstrap`).
    """

    telemetry.collect("api")
    measured, admission = ApiMetrics(), Admission(settings, is_viewer)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        platform = _open(settings, database_url, gateway, measured, admission)
        app.state.platform = platform
        platform.hub.start()
        platform.queues.start()
        try:
            yield
        finally:
            await platform.queues.close()
            await platform.web_ui.close()
            await platform.hub.close()
            await platform.engine.dispose()

    app = FastAPI(
        title="Codegen orchestrator",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # A model has one name for clients, also where older senders may write it in another form.
        separate_input_output_schemas=False,
        telemetry={"exclude": _is_untraced, "operation_spans": False, "metrics": False, "logs": False},
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
    )
    problems.install(app)
    openapi.install(app)
    for module in _ROUTES:
        app.include_router(module.router)
    app.add_middleware(
        BodyGuard, largest_body=admission.largest_body, small=SMALL_BODY_BYTES, body_s=settings.body_timeout_s
    )
    app.add_middleware(AdmissionGuard, admission=admission)
    app.add_middleware(GitSignIn)
    app.add_middleware(RequestMetrics, metrics=measured)
    app.add_middleware(OwnHosts, settings=settings)
    # Added last, so it is the outermost.
    app.add_middleware(RequestContext, settings=settings)
    return app


def _is_untraced(scope: Scope) -> bool:
    return str(scope["path"]).startswith(_UNTRACED)


def _open(
    settings: Settings,
    database_url: str,
    gateway: WorkflowGateway | None,
    measured: ApiMetrics,
    admission: Admission,
) -> Platform:
    engine = make_engine(database_url)
    sessions = make_sessions(engine)
    service_keys = ServiceKeys(
        platform=_key_hash(settings.api_service_key_file),
        bot=_key_hash(settings.bot_key_file),
        user_id=settings.admin_user_id,
    )
    admission.service_keys = service_keys
    link = GatewayLink(temporal_gateway(settings) if gateway is None else fixed_gateway(gateway))
    watch = QueueWatch(link, Intervals.of(settings), settings.start_command)
    measured.watch(watch)
    return Platform(
        settings=settings,
        engine=engine,
        sessions=sessions,
        gateway=link,
        queues=watch,
        disks=DiskWatch.of(settings),
        metrics=measured,
        hub=EventHub(engine),
        vault=Vault(KeyRing.load(settings.vault_key_file)),
        artifacts=DirectoryArtifactStore(settings.artifacts_dir),
        service_keys=service_keys,
        web_ui=WebUi.open(settings, sessions),
        admission=admission,
        quotas=Quotas(settings),
        git=GitBackend(settings.forge_dir),
    )


def _key_hash(file: Path) -> str | None:
    try:
        return hash_secret(private_files.read(file).strip())
    except OrchestratorError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return None
