"""The rows of requests: written before a request is sent, finished with what became of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from tenacity import AsyncRetrying, retry_if_exception, wait_exponential

from api.database import Sessions
from api.model_proxy.apis import ModelApi
from api.model_proxy.limits import STOPS_THE_TURN
from api.model_proxy.usage import TokenUse
from api.model_tables import ModelAccountRow, ModelRequestRow, ModelTurnRow
from api.models import budgets, turns
from contracts.base import utc_now
from contracts.errors import OrchestratorError
from contracts.models import ModelLimit
from contracts.project_settings import ProjectSettings

_RESERVED_S = 120.0
"""How long a request waits for open ones that may use a budget up."""

_WRITTEN_S = 5.0
"""How long an agent waits for the end of an answer that cannot be written down."""
_REMEMBERED_S = 60.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Asked:
    """A request that is about to be sent, and what it counts for while nobody knows better."""

    turn: ModelTurnRow
    api: ModelApi
    model: str
    estimate_usd: Decimal


@dataclass(frozen=True)
class Answered:
    """What became of a request: `state` and the columns that follow from it."""

    state: str
    cost_usd: Decimal
    known: bool
    price_known: bool = True
    status: int | None = None
    use: TokenUse | None = None
    upstream_id: str | None = None
    answered_at: datetime | None = None
    limit: ModelLimit | None = None


class Ledger:
    """One process writes it: what is open when it begins was lost with the process before."""

    def __init__(self, sessions: Sessions, defaults: ProjectSettings) -> None:
        self._sessions = sessions
        self._defaults = defaults
        self._changed = asyncio.Condition()
        self._finishing: dict[str, asyncio.Task[None]] = {}

    async def lose_open(self) -> int:
        """Requests that a process before this one has not finished count at their estimate. Returns how many."""
        statement = (
            update(ModelRequestRow)
            .where(col(ModelRequestRow.state) == budgets.OPEN)
            .values(state="lost", known=False, ended_at=utc_now())
            .returning(col(ModelRequestRow.id))
        )
        async with self._sessions.begin() as session:
            return len((await session.scalars(statement)).all())

    async def turn(self, token: str) -> ModelTurnRow | None:
        """The open turn of a token."""
        async with self._sessions() as session:
            return await turns.by_token(session, token)

    async def begin(self, asked: Asked) -> str | ModelLimit:
        """The id of the request's row, or the budget that is spent.

        While open requests may use a budget up, this waits for them: what they cost decides.
        """
        deadline = asyncio.get_running_loop().time() + _RESERVED_S
        while True:
            async with self._changed:
                found = await self._try(asked)
                if isinstance(found, str):
                    return found
                left = deadline - asyncio.get_running_loop().time()
                if not found.is_spent and left > 0:
                    try:
                        async with asyncio.timeout(left):
                            await self._changed.wait()
                        continue
                    except TimeoutError:
                        log.warning("a budget stays reserved", scope=found.scope, scope_id=found.scope_id)
            limit = found.as_limit()
            await self.stop(asked.turn, limit)
            return limit

    async def _try(self, asked: Asked) -> str | budgets.Budget:
        now = utc_now()
        async with self._sessions.begin() as session:
            # One after the other, so that two requests never spend the same rest of a budget.
            await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("model budgets"))))
            found = await budgets.budgets(session, budgets.Payer.of(asked.turn), self._defaults, now)
            blocked = budgets.stopping(found) or budgets.reserved(found)
            if blocked is not None:
                return blocked
            row = ModelRequestRow(
                id=f"mr-{uuid4().hex}",
                worker_id=asked.turn.worker_id,
                turn=asked.turn.turn,
                task_id=asked.turn.task_id,
                project_id=asked.turn.project_id,
                account=asked.api.account,
                api=asked.api.name,
                model=asked.model,
                state=budgets.OPEN,
                cost_usd=asked.estimate_usd,
                started_at=now,
            )
            session.add(row)
            return row.id

    async def finish(self, request_id: str, asked: Asked, answered: Answered) -> None:
        """Record what became of a request, also while this process ends: nothing cancels it. The first word counts.

        While the database does not answer, this goes on beside, and the agent waits no longer than a few seconds.
        """
        if request_id not in self._finishing:
            task = asyncio.ensure_future(self._finish(request_id, asked, answered))
            self._finishing[request_id] = task
            task.add_done_callback(lambda _: self._forget(request_id))
        try:
            async with asyncio.timeout(_WRITTEN_S):
                await asyncio.shield(self._finishing[request_id])
        except TimeoutError:
            log.error("the use of a model cannot be written down yet", request_id=request_id)

    def _forget(self, request_id: str) -> None:
        """Later: the same request may say once more what became of it."""
        asyncio.get_running_loop().call_later(_REMEMBERED_S, self._finishing.pop, request_id, None)

    async def _finish(self, request_id: str, asked: Asked, answered: Answered) -> None:
        attempts = AsyncRetrying(
            retry=retry_if_exception(_may_pass), wait=wait_exponential(multiplier=0.2, max=5.0), reraise=True
        )
        await attempts(self._write, request_id, asked, answered)
        async with self._changed:
            self._changed.notify_all()

    async def _write(self, request_id: str, asked: Asked, answered: Answered) -> None:
        is_open = (col(ModelRequestRow.id) == request_id) & (col(ModelRequestRow.state) == budgets.OPEN)
        statement = update(ModelRequestRow).where(is_open).values(**_columns(answered))
        async with self._sessions.begin() as session:
            await session.execute(statement)
            await self._mark(session, asked.turn, answered)

    async def _mark(self, session: AsyncSession, turn: ModelTurnRow, answered: Answered) -> None:
        """What stops the turn is said by its newest answer; the answer to what was asked later says that nothing does.

        What was asked before says nothing of it: agents ask for titles beside their work.
        """
        limit = answered.limit
        if limit is not None or (answered.state == "answered" and turn.stopped_by is not None):
            await _stop(session, turn, limit)

    async def stop(self, turn: ModelTurnRow, limit: ModelLimit) -> None:
        """Say what has stopped a turn, of which nothing was sent."""
        async with self._sessions.begin() as session:
            await _stop(session, turn, limit)

    async def limit_account(self, limit: ModelLimit, until: datetime) -> None:
        """What limits an account until then; the API tells it to turns that are about to begin."""
        values = {"limited_by": limit.model_dump(mode="json"), "limited_until": until, "updated_at": utc_now()}
        statement = insert(ModelAccountRow).values(name=limit.account, has_key=True, **values)
        async with self._sessions.begin() as session:
            await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))

    async def account_limits(self) -> dict[str, tuple[ModelLimit, datetime]]:
        """The limits that a process before this one has heard of and that are still in force."""
        statement = select(ModelAccountRow).where(col(ModelAccountRow.limited_until) > utc_now())
        async with self._sessions() as session:
            rows = (await session.scalars(statement)).all()
        return {
            row.name: (ModelLimit.model_validate(row.limited_by), row.limited_until)
            for row in rows
            if row.limited_by is not None and row.limited_until is not None
        }

    async def drain(self) -> None:
        """Until everything that has ended is written down."""
        await asyncio.gather(*self._finishing.values(), return_exceptions=True)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, OrchestratorError | DBAPIError | OSError)


def _columns(answered: Answered) -> Mapping[str, Any]:
    use = answered.use or TokenUse()
    return {
        "state": answered.state,
        "status": answered.status,
        "upstream_id": answered.upstream_id,
        "input_tokens": use.input,
        "output_tokens": use.output,
        "cache_read_tokens": use.cache_read,
        "cache_write_tokens": use.cache_write,
        "cost_usd": answered.cost_usd,
        "known": answered.known,
        "price_known": answered.price_known,
        "answered_at": answered.answered_at,
        "ended_at": utc_now(),
    }


async def _stop(session: AsyncSession, turn: ModelTurnRow, limit: ModelLimit | None) -> None:
    said = None if limit is None else limit.model_dump(mode="json")
    conditions = [col(ModelTurnRow.worker_id) == turn.worker_id, col(ModelTurnRow.turn) == turn.turn]
    if limit is None or limit.kind != "budget":
        # These stop the whole turn: the answer to what was open beside changes nothing about that.
        kind = col(ModelTurnRow.stopped_by)["kind"].astext
        conditions.append(or_(col(ModelTurnRow.stopped_by).is_(None), kind.not_in(STOPS_THE_TURN)))
    await session.execute(update(ModelTurnRow).where(*conditions).values(stopped_by=said))
