"""The rows of requests: written before a request is sent, finished with what became of it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from tenacity import AsyncRetrying, retry_if_exception, wait_exponential

from api.database import Sessions
from api.model_proxy.apis import ModelApi
from api.model_proxy.limits import STOPS_THE_TURN
from api.model_proxy.questions import Question
from api.model_proxy.reading import storable_name
from api.model_proxy.usage import TokenUse
from api.model_tables import ModelAccountRow, ModelRequestRow, ModelTurnRow, ModelWindowRow
from api.models import budgets, turns
from contracts.base import utc_now
from contracts.errors import OrchestratorError
from contracts.models import ModelLimit
from contracts.project_settings import ProjectSettings

_RESERVED_S = 300.0
"""How long a request waits for open ones that may use a budget up; some agents give up after that."""
_LOOK_AGAIN_S = 5.0

_WRITTEN_S = 5.0
"""How long an agent waits for the end of an answer that cannot be written down."""
_REMEMBERED_S = 60.0
_REFUSED_VALUES = ("22", "23", "42")
"""Classes of SQLSTATE: data, constraints, statements."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Asked:
    """A request that is about to be sent. `size`: bytes of its body.

    `expected_usd` is what it is shown to cost while it is open; `most_usd`, with all that its answer may have, is what
    budgets hold back for it until then.
    """

    turn: ModelTurnRow
    api: ModelApi
    question: Question
    size: int
    expected_usd: Decimal
    most_usd: Decimal

    @property
    def model(self) -> str:
        return self.question.model


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


UNSENT = Answered(state="unsent", cost_usd=Decimal(0), known=True)
"""What was reserved and never sent: its row goes."""


class Ledger:
    """One process writes it: what is open when it begins was lost with the process before."""

    def __init__(self, sessions: Sessions, defaults: ProjectSettings) -> None:
        self._sessions = sessions
        self._defaults = defaults
        self._changed = asyncio.Condition()
        self._finishing: dict[str, asyncio.Task[None]] = {}
        self._giving_back: set[asyncio.Task[None]] = set()
        self._places = count()
        self._waiting: dict[int, set[tuple[str, str]]] = {}

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

        While open requests may use a budget up, this waits for them: what they cost decides. If none is open, one
        request may be sent that could cost more than what is left, or a small budget would be of no use.
        """
        deadline = asyncio.get_running_loop().time() + _RESERVED_S
        place = next(self._places)
        try:
            while True:
                async with self._changed:
                    found = await self._tried(asked, place)
                    if isinstance(found, str):
                        return found
                    left = deadline - asyncio.get_running_loop().time()
                    if not found.is_spent and left > 0:
                        # A person may raise the budget meanwhile, of which nobody tells this process.
                        with suppress(TimeoutError):
                            async with asyncio.timeout(min(left, _LOOK_AGAIN_S)):
                                await self._changed.wait()
                        continue
                log.warning("a budget lets no request pass", scope=found.scope, scope_id=found.scope_id)
                limit = found.as_limit()
                await self.stop(asked.turn, limit)
                return limit
        finally:
            if self._waiting.pop(place, None) is not None:
                async with self._changed:
                    self._changed.notify_all()

    async def _tried(self, asked: Asked, place: int) -> str | budgets.Budget:
        """`_try` to its end, also when the client leaves meanwhile: then what it has reserved is given back."""
        trying = asyncio.ensure_future(self._try(asked, place))
        try:
            return await asyncio.shield(trying)
        except asyncio.CancelledError:
            found = await trying
            if isinstance(found, str):
                giving_back = asyncio.ensure_future(self.finish(found, asked, UNSENT))
                self._giving_back.add(giving_back)
                giving_back.add_done_callback(self._giving_back.discard)
            raise

    async def _try(self, asked: Asked, place: int) -> str | budgets.Budget:
        now = utc_now()
        async with self._sessions.begin() as session:
            # One after the other, so that two requests never spend the same rest of a budget.
            await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("model budgets"))))
            found = await budgets.budgets(session, budgets.Payer.of(asked.turn), self._defaults, now)
            blocked = (
                budgets.stopping(found)
                or self._behind(found, place)
                or next((budget for budget in found if not budget.has_room(asked.most_usd)), None)
            )
            if blocked is not None:
                self._waiting[place] = {(blocked.scope, blocked.scope_id)}
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
                cost_usd=asked.expected_usd,
                reserved_usd=min([asked.most_usd, *(budget.rest_usd for budget in found)]),
                started_at=now,
            )
            session.add(row)
            return row.id

    def _behind(self, found: list[budgets.Budget], place: int) -> budgets.Budget | None:
        """The budget that an earlier request waits for: small ones must not keep a large one waiting for ever."""
        waited = set().union(*(scopes for earlier, scopes in self._waiting.items() if earlier < place))
        return next((budget for budget in found if (budget.scope, budget.scope_id) in waited), None)

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
        try:
            await attempts(self._write, request_id, asked, answered)
        except DBAPIError as error:
            # It would be refused for ever; what it costs must be written down all the same.
            log.error(
                "the database refuses what a model has answered", request_id=request_id, kind=type(error).__name__
            )
            barest = Answered(answered.state, answered.cost_usd, known=False, status=answered.status)
            await attempts(self._write, request_id, asked, barest)
        async with self._changed:
            self._changed.notify_all()

    async def _write(self, request_id: str, asked: Asked, answered: Answered) -> None:
        is_open = (col(ModelRequestRow.id) == request_id) & (col(ModelRequestRow.state) == budgets.OPEN)
        if answered is UNSENT:
            async with self._sessions.begin() as session:
                await session.execute(delete(ModelRequestRow).where(is_open))
            return
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

    async def limit(self, model: str, limit: ModelLimit, until: datetime) -> None:
        """What limits a model of an account until then, or with an empty name the account.

        The API tells it to turns that are about to begin.
        """
        said = {"limited_by": limit.model_dump(mode="json"), "limited_until": until}
        async with self._sessions.begin() as session:
            if model:
                window = insert(ModelWindowRow).values(account=limit.account, model=model, **said)
                await session.execute(window.on_conflict_do_update(index_elements=["account", "model"], set_=said))
                await session.execute(delete(ModelWindowRow).where(col(ModelWindowRow.limited_until) <= utc_now()))
                return
            values = {**said, "updated_at": utc_now()}
            statement = insert(ModelAccountRow).values(name=limit.account, has_key=True, **values)
            await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))

    async def limits(self) -> list[tuple[str, str, ModelLimit, datetime]]:
        """The limits that a process before this one has heard of and that are still in force: account, model, limit."""
        accounts = select(ModelAccountRow).where(col(ModelAccountRow.limited_until) > utc_now())
        windows = select(ModelWindowRow).where(col(ModelWindowRow.limited_until) > utc_now())
        async with self._sessions() as session:
            found = [(row.name, "", row.limited_by, row.limited_until) for row in await session.scalars(accounts)]
            of_models = await session.scalars(windows)
            found += [(row.account, row.model, row.limited_by, row.limited_until) for row in of_models]
        return [
            (name, model, ModelLimit.model_validate(limit), until)
            for name, model, limit, until in found
            if limit is not None and until is not None
        ]

    async def drain(self) -> None:
        """Until everything that has ended is written down."""
        await asyncio.gather(*self._giving_back, *self._finishing.values(), return_exceptions=True)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, OrchestratorError | OSError) or (isinstance(error, DBAPIError) and not _is_refused(error))


def _is_refused(error: DBAPIError) -> bool:
    """Whether the database refuses the values themselves, now and ever."""
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return state[:2] in _REFUSED_VALUES
    # The driver could not even encode them.
    return isinstance(getattr(error.orig, "__cause__", None), ValueError)


def _columns(answered: Answered) -> Mapping[str, Any]:
    use = answered.use or TokenUse()
    return {
        "state": answered.state,
        "status": answered.status,
        "upstream_id": storable_name(answered.upstream_id),
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
