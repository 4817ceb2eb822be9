"""What may be spent: for a turn, a task, a project, a month of a project and a month of the installation.

Everything counts: what was answered, what is open at the most that it may cost, and what nobody knows at its estimate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.model_tables import ModelBudgetRaiseRow, ModelRequestRow, ModelTurnRow
from api.settings import queries as settings
from contracts.models import ModelBudgetScope, ModelLimit
from contracts.project_settings import ProjectSettings
from contracts.subjects import Subject

WARN_AT = Decimal("0.8")
OPEN = "open"


@dataclass(frozen=True)
class Payer:
    """Who spends: a turn of a task of a project, or only a project, or with an empty id the installation."""

    project_id: str
    task_id: str = ""
    worker_id: str = ""
    turn: int = 0

    @classmethod
    def of(cls, turn: ModelTurnRow) -> "Payer":
        return cls(turn.project_id, turn.task_id, turn.worker_id, turn.turn)


@dataclass(frozen=True)
class Scope:
    """Whose budget: `condition` selects the requests that count, `limit_usd` is what was set, without raises."""

    scope: ModelBudgetScope
    scope_id: str
    condition: ColumnElement[bool]
    limit_usd: Decimal | None
    of_worker: str | None = None


@dataclass(frozen=True)
class Budget:
    """`spent_usd` is what ended requests have cost, `open_usd` what open ones will probably cost.

    `reserved_usd` is what is held back for those that are open: the most that they may cost, and no more than was left.
    `of_worker`: the agent worker that works for no task, of which nobody is asked by itself.
    """

    scope: ModelBudgetScope
    scope_id: str
    limit_usd: Decimal | None
    spent_usd: Decimal
    open_usd: Decimal
    reserved_usd: Decimal
    of_worker: str | None = None

    @property
    def is_spent(self) -> bool:
        return self.limit_usd is not None and self.spent_usd >= self.limit_usd

    @property
    def rest_usd(self) -> Decimal:
        """What nobody has spent or reserved."""
        return Decimal("Infinity") if self.limit_usd is None else self.limit_usd - self.spent_usd - self.reserved_usd

    def has_room(self, most_usd: Decimal) -> bool:
        """Whether a request that costs this at most may be sent now: it fits, or nothing else is open."""
        return most_usd <= self.rest_usd or (self.reserved_usd == 0 and not self.is_spent)

    @property
    def is_nearly_spent(self) -> bool:
        return self.limit_usd is not None and self.spent_usd >= self.limit_usd * WARN_AT

    def as_limit(self, *, warning: bool = False) -> ModelLimit:
        """What a person is told, and the run."""
        limit = self.limit_usd or Decimal(0)
        words = "this agent" if self.of_worker == self.scope_id else _WORDS[self.scope]
        used = f"{in_usd(self.spent_usd)} of {in_usd(limit)}"
        if warning:
            said = f"is spent to 80 %: {used}"
        elif self.is_spent:
            said = f"is spent: {used}"
        else:
            said = f"is spent but for what other requests, which are open, may still cost: {used}"
        return ModelLimit(
            kind="budget",
            message=f"The budget of {words} {said}. {self._way_out()}",
            spent_usd=float(self.spent_usd),
            limit_usd=float(limit),
            scope=self.scope,
            scope_id=self.scope_id,
            warning=warning,
        )

    def _way_out(self) -> str:
        if self.of_worker is None:
            return "Raise it, choose a cheaper model, or stop."
        if self.of_worker == self.scope_id:
            return f"Raise it: `orchestrator worker budget {self.of_worker} --add USD`."
        if self.scope == "turn":
            return "The next message begins a new turn; `orchestrator settings set turn_budget_usd USD` raises it."
        setting = "monthly_budget_usd" if self.scope == "month" else "project_budget_usd"
        return f"Raise it: `orchestrator settings set {setting} USD`."


_WORDS = {"turn": "this turn", "task": "the task", "project": "the project", "month": "this month"}


def in_usd(amount: Decimal | float) -> str:
    """Cents, and of small amounts as much as tells them apart."""
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"


def turn_scope(worker_id: str, turn: int) -> str:
    return f"{worker_id}:{turn}"


def month_of(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    # By hand: some systems write the first years without leading zeros.
    return f"{moment.year:04d}-{moment.month:02d}"


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """The first moment of `YYYY-MM` and of the month after it. Raises ValueError for what is no month."""
    begin = datetime.strptime(f"{month}-01 +0000", "%Y-%m-%d %z")
    try:
        return begin, (begin + timedelta(days=32)).replace(day=1)
    except OverflowError:
        raise ValueError(f"no calendar goes beyond {month}") from None


async def budgets(
    session: AsyncSession, payer: Payer, defaults: ProjectSettings, now: datetime, *, only_limited: bool = True
) -> list[Budget]:
    """The budgets that a request of this payer counts for, the smallest scope first; only those that have a limit."""
    found = []
    for scope in await _scopes(session, payer, defaults, now):
        if scope.limit_usd is not None or not only_limited:
            found.append(await _read(session, scope))
    return found


def stopping(found: Sequence[Budget]) -> Budget | None:
    """The first budget that is spent."""
    return next((budget for budget in found if budget.is_spent), None)


def warning(found: Sequence[Budget]) -> Budget | None:
    """The first budget that is spent to 80 %."""
    return next((budget for budget in found if budget.is_nearly_spent), None)


async def _scopes(session: AsyncSession, payer: Payer, defaults: ProjectSettings, now: datetime) -> list[Scope]:
    installation = await settings.choices(session, Subject.installation())
    own = await settings.choices(session, Subject.project(payer.project_id)) if payer.project_id else {}
    chosen = defaults.model_dump() | {name: row.value for name, row in (installation | own).items()}
    month = month_of(now)
    begin, end = month_bounds(month)
    in_month = (col(ModelRequestRow.started_at) >= begin) & (col(ModelRequestRow.started_at) < end)
    of_project = col(ModelRequestRow.project_id) == payer.project_id
    of_turn = (col(ModelRequestRow.worker_id) == payer.worker_id) & (col(ModelRequestRow.turn) == payer.turn)
    monthly = "monthly_budget_usd"
    own_month = own[monthly].value if monthly in own else None
    worker = payer.worker_id if payer.worker_id and payer.worker_id == payer.task_id else None
    whole_month = installation[monthly].value if monthly in installation else defaults.monthly_budget_usd
    found: list[tuple[ModelBudgetScope, str, ColumnElement[bool], object]] = [
        ("turn", turn_scope(payer.worker_id, payer.turn), of_turn, chosen["turn_budget_usd"]),
        ("task", payer.task_id, col(ModelRequestRow.task_id) == payer.task_id, chosen["task_budget_usd"]),
        ("project", payer.project_id, of_project, chosen["project_budget_usd"]),
        ("month", f"{payer.project_id}:{month}", of_project & in_month, own_month),
        ("month", month, in_month, whole_month),
    ]
    return [Scope(scope, scope_id, which, _usd(limit), worker) for scope, scope_id, which, limit in found]


def _usd(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


async def _read(session: AsyncSession, scope: Scope) -> Budget:
    cost, is_open = col(ModelRequestRow.cost_usd), col(ModelRequestRow.state) == OPEN
    ended = func.sum(cost).filter(~is_open)
    of_open = func.sum(cost).filter(is_open), func.sum(col(ModelRequestRow.reserved_usd)).filter(is_open)
    sums = select(*(func.coalesce(amount, 0) for amount in (ended, *of_open))).where(scope.condition)
    spent, expected, most = (Decimal(amount) for amount in (await session.execute(sums)).one())
    limit = scope.limit_usd
    if limit is not None:
        limit += await raised_by(session, scope.scope, scope.scope_id)
    return Budget(scope.scope, scope.scope_id, limit, spent, expected, most, scope.of_worker)


async def raised_by(session: AsyncSession, scope: ModelBudgetScope, scope_id: str) -> Decimal:
    """By how much people have raised this budget."""
    raised = select(func.coalesce(func.sum(col(ModelBudgetRaiseRow.add_usd)), 0)).where(
        col(ModelBudgetRaiseRow.scope) == scope, col(ModelBudgetRaiseRow.scope_id) == scope_id
    )
    return Decimal((await session.scalars(raised)).one())
