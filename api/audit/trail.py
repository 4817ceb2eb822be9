"""The audit trail: a route says by `audited` what it does, and what came of it is written with what it did."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import structlog
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import AnyCaller, Caller
from api.database import Session, Sessions
from api.edge.addresses import client_address
from api.tables import AuditRow
from contracts.errors import ErrorCode, OrchestratorError, bounded
from contracts.states import ActorVia, Role

DONE = "done"
_MAX_TARGET, _MAX_DETAIL = 400, 200

log = structlog.get_logger(__name__)


@dataclass
class Act:
    """What a request is about to do. The route adds on what, where its path does not say it, and what else is of use.

    Never a secret, and no text of people: a secret may stand in it.
    """

    action: str
    target: str = ""
    details: dict[str, str] = field(default_factory=dict)

    def on(self, *target: str) -> None:
        """Say what it is done to."""
        self.target = "/".join(target)

    def tell(self, **details: object) -> None:
        """Add what else a reader of the trail wants to know; None is left out."""
        self.details |= {name: bounded(str(value), _MAX_DETAIL) for name, value in details.items() if value is not None}


@dataclass(frozen=True)
class _Audited:
    action: str

    # An object and no closure, so that a test finds it among a route's dependencies.
    async def __call__(self, request: Request, caller: AnyCaller, session: Session) -> AsyncIterator[Act]:
        act = Act(self.action, "/".join(str(value) for value in request.path_params.values()))
        try:
            yield act
        except Exception as error:
            await record_refusal(request, caller, act, error)
            raise
        # In the transaction of what it tells: neither is there without the other.
        session.add(_row(request, caller, act, DONE))


def audited(action: str) -> Any:  # noqa: ANN401 - what FastAPI's own `Depends` returns
    """A dependency for routes that the trail tells of: the first parameter, so that no refusal comes before it."""
    return Depends(_Audited(action), scope="function")


def is_audited(dependency: object) -> bool:
    """Whether a dependency of a route is one that `audited` has made."""
    return isinstance(dependency, _Audited)


async def record_refusal(request: Request, caller: Caller, act: Act, error: Exception) -> None:
    """Write what was refused, in a transaction of its own: that of the request is undone."""
    row = _row(request, caller, act, _result(error))
    sessions: Sessions = request.app.state.platform.sessions
    try:
        async with sessions.begin() as session:
            session.add(row)
    except Exception:
        # The person learns why their own request failed, and not that the trail could not be written.
        log.exception("an entry of the audit trail was not written", action=act.action, result=row.result)


async def record(
    session: AsyncSession,
    request: Request,
    action: str,
    user_id: int,
    target: str = "",
    **entry: Any,  # noqa: ANN401 - columns
) -> None:
    """Write what was done by somebody whom no key names, such as a browser that logs in."""
    session.add(
        AuditRow(
            user_id=user_id,
            via=ActorVia.API.value,
            address=client_address(request.scope, request.app.state.platform.settings),
            action=action,
            target=target[:_MAX_TARGET],
            request_id=str(request.scope.get("request_id", "")),
            **{"result": DONE, "role": Role.ADMIN.value, **entry},
        )
    )


def _row(request: Request, caller: Caller, act: Act, result: str) -> AuditRow:
    is_service = caller.platform or caller.bot
    return AuditRow(
        user_id=None if is_service else caller.user_id,
        role=None if is_service else caller.role.value,
        via=caller.via.value,
        credential=caller.credential,
        address=client_address(request.scope, request.app.state.platform.settings),
        action=act.action,
        target=_storable(act.target)[:_MAX_TARGET],
        result=result,
        details={name: _storable(value) for name, value in act.details.items()},
        request_id=str(request.scope.get("request_id", "")),
    )


def _result(error: Exception) -> str:
    if isinstance(error, OrchestratorError):
        return error.code.value
    return (ErrorCode.INVALID_INPUT if isinstance(error, RequestValidationError) else ErrorCode.INTERNAL).value


def _storable(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
