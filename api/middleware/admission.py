"""What stands before every route: how often somebody may ask, and how much they may send before anybody knows them."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import ServiceKeys, hash_secret, knows_key
from api.edge.addresses import client_address, session_cookie
from api.edge.rates import OpenStreams, Rates, Refusal
from api.problems import problem_response
from api.tables import AuditRow
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import ActorVia
from runtime.settings import WEB_UI_PATH, Settings

SMALL_BODY_BYTES = 65_536
"""Of a caller whom nobody knows yet: to find out takes a look into the database, and no memory for a large body."""
MAX_BODY_BYTES = 1_000_000
MAX_INTERNAL_BODY_BYTES = 8_000_000
"""For batches of 500 fine events with 4,000 characters each, and for a page of payloads that the Web UI decodes."""
_BY_COOKIE = ("/codec/", f"{WEB_UI_PATH}/")
_LOGIN = "/ui-login"
_STREAM_RETRY_S = 5

log = structlog.get_logger(__name__)


class Admission:
    """The counts of one process. `service_keys` is set once the application is open.

    `is_viewer` says whether a request comes from a browser that is logged in.
    """

    def __init__(self, settings: Settings, is_viewer: Callable[[Request], Awaitable[bool]]) -> None:
        self.settings = settings
        self._is_viewer = is_viewer
        self.rates = Rates(settings)
        self.streams = OpenStreams(settings)
        self.service_keys = ServiceKeys(None, None, settings.admin_user_id)

    def recognise(self, digest: str) -> None:
        """Remember a key that got in."""
        self.rates.recognise(digest)

    def login(self, scope: Scope) -> str | None:
        """The hash of a browser's login, for pages of the Web UI: each of them is hundreds of requests."""
        if not str(scope["path"]).startswith(_BY_COOKIE):
            return None
        cookie = cookie_parser(Headers(scope=scope).get("cookie", "")).get(session_cookie(self.settings))
        return hash_secret(cookie) if cookie else None

    def is_platform(self, digest: str | None) -> bool:
        """Whether this is the platform's own key. Its processes are not limited: they do the work."""
        return digest is not None and digest == self.service_keys.platform

    def is_service(self, digest: str | None) -> bool:
        """Whether this is a key of the platform or of its bot."""
        return self.is_platform(digest) or (digest is not None and digest == self.service_keys.bot)

    async def largest_body(self, scope: Scope) -> int:
        """How many bytes this caller may send; looked up only for a body that is not small."""
        digest, path = _digest(scope), str(scope["path"])
        if path.startswith("/internal/"):
            return MAX_INTERNAL_BODY_BYTES if self.is_platform(digest) else SMALL_BODY_BYTES
        if path.startswith(_BY_COOKIE):
            known = await self._is_viewer(Request(scope))
            largest = MAX_INTERNAL_BODY_BYTES if path.startswith("/codec/") else MAX_BODY_BYTES
            return largest if known else SMALL_BODY_BYTES
        known = self.is_service(digest) or self.rates.knows(digest) or await _knows_key(scope, digest)
        return MAX_BODY_BYTES if known else SMALL_BODY_BYTES


class AdmissionGuard:
    """Refuses what comes too often, before anything is read, and counts wrong keys."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._admission.is_platform(_digest(scope)):
            await self._app(scope, receive, send)
        elif (refusal := await self._refusal(scope)) is not None:
            await _refused(refusal, scope)(scope, receive, send)
        else:
            await self._admitted(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Refusal | None:
        digest = _digest(scope) or self._admission.login(scope)
        address = client_address(scope, self._admission.settings)
        if digest is not None and self._admission.is_service(digest):
            self._admission.recognise(digest)
        return await self._admission.rates.refusal(digest, address, self._acting_for(scope))

    def _acting_for(self, scope: Scope) -> str:
        """Whom the bot speaks for: each person has a count of their own, and the bot none that they share."""
        is_bot = self._admission.is_service(_digest(scope))
        return Headers(scope=scope).get("x-orchestrator-user", "")[:20] if is_bot else ""

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def send_and_see(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            with self._one_stream(scope):
                await self._app(scope, receive, send_and_see)
        except OrchestratorError as error:
            if error.code is not ErrorCode.TOO_MANY_STREAMS or status:
                raise
            await _refused(Refusal(error.code, error.message, _STREAM_RETRY_S), scope)(scope, receive, send)
        if status == 401 and (_digest(scope) is not None or scope["path"] == _LOGIN):
            await self._count_failure(scope)

    def _one_stream(self, scope: Scope) -> AbstractContextManager[None]:
        if not scope["path"].endswith("/stream"):
            return nullcontext()
        digest = _digest(scope)
        known = digest if self._admission.rates.knows(digest) else None
        whose = known or client_address(scope, self._admission.settings)
        return self._admission.streams.one_more(f"{whose}/{self._acting_for(scope)}")

    async def _count_failure(self, scope: Scope) -> None:
        address = client_address(scope, self._admission.settings)
        if await self._admission.rates.failed(address):
            log.warning("an address was locked out: too many wrong keys came from it", address=address)
            await _tell_locked_out(scope, address)


async def _tell_locked_out(scope: Scope, address: str) -> None:
    """Write it into the audit trail: once for each lock-out, as single wrong keys would flood it."""
    row = AuditRow(
        via=ActorVia.API.value, address=address, action="sign_in", result=ErrorCode.LOCKED_OUT.value,
        request_id=str(scope.get("request_id", "")),
    )  # fmt: skip
    try:
        async with scope["app"].state.platform.sessions.begin() as session:
            session.add(row)
    except Exception:
        log.exception("an entry of the audit trail was not written", action="sign_in")


def _digest(scope: Scope) -> str | None:
    """The hash of the key that the request shows; None without one."""
    scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
    return hash_secret(key.strip()) if scheme.lower() == "bearer" and key.strip() else None


def _refused(refusal: Refusal, scope: Scope) -> ASGIApp:
    wait = {"Retry-After": str(refusal.retry_after_s)}
    return problem_response(refusal.code, refusal.detail, str(scope.get("request_id", "")), headers=wait)


async def _knows_key(scope: Scope, digest: str | None) -> bool:
    if digest is None:
        return False
    async with scope["app"].state.platform.sessions() as session:
        return await knows_key(session, digest)
