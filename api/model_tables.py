"""Tables of what agents use models for: turns, requests, raised budgets, the vendors' accounts, the platform's secrets.

Money is numeric, in US dollars: sums of thousands of small amounts stay exact.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Numeric,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from api.tables import ID, STATE, Document
from contracts.base import utc_now

MODEL = String(200)
MONEY = Numeric(20, 10)


def _time() -> Any:  # noqa: ANN401 - SQLModel's Field is a value of the field's own type
    return Field(default_factory=utc_now, sa_column=Column(DateTime(timezone=True), nullable=False))


def _maybe_time() -> Any:  # noqa: ANN401 - see _time
    return Field(default=None, sa_column=Column(DateTime(timezone=True)))


def _count() -> Any:  # noqa: ANN401 - see _time
    return Field(default=0, sa_column=Column(BigInteger, nullable=False))


def _money() -> Any:  # noqa: ANN401 - see _time
    return Field(default=Decimal(0), sa_column=Column(MONEY, nullable=False))


class ModelTurnRow(SQLModel, table=True):
    """A turn that may use models. `token_hash` is the SHA-256 of its token, which is derived with the key `key_id`.

    `stopped_by` is a ModelLimit: what has stopped the turn, until a later request is answered.
    """

    __tablename__ = "model_turns"
    __table_args__ = (UniqueConstraint("token_hash"), Index("ix_model_turns_task_id", "task_id"))

    worker_id: str = Field(sa_column=Column(ID, primary_key=True))
    turn: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    task_id: str = Field(sa_column=Column(ID, nullable=False))
    project_id: str = Field(sa_column=Column(ID, nullable=False))
    user_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    agent: str = Field(sa_column=Column(STATE, nullable=False))
    role: str = Field(sa_column=Column(STATE, nullable=False))
    key_id: str = Field(sa_column=Column(String(100), nullable=False))
    token_hash: str = Field(sa_column=Column(String(64), nullable=False))
    stopped_by: Document | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    opened_at: datetime = _time()
    ended_at: datetime | None = _maybe_time()


class ModelRequestRow(SQLModel, table=True):
    """One request to a vendor, written before it is sent.

    state: open, answered (its use is known), partial (broken off; its use is known up to there), failed (refused by
    the vendor, or never sent: costs nothing) or lost (nobody knows what became of it). `cost_usd` is the estimate while
    it is open and when it is lost; `reserved_usd` is what budgets hold back while it is open. `known` says whether use
    and price are.
    """

    __tablename__ = "model_requests"
    __table_args__ = (
        ForeignKeyConstraint(["worker_id", "turn"], ["model_turns.worker_id", "model_turns.turn"]),
        Index("ix_model_requests_turn", "worker_id", "turn"),
        Index("ix_model_requests_task_id", "task_id"),
        Index("ix_model_requests_project_id", "project_id", "started_at"),
        Index("ix_model_requests_started_at", "started_at"),
        Index("ix_model_requests_open", "id", postgresql_where=text("state = 'open'")),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    worker_id: str = Field(sa_column=Column(ID, nullable=False))
    turn: int = Field(sa_column=Column(BigInteger, nullable=False))
    task_id: str = Field(sa_column=Column(ID, nullable=False))
    project_id: str = Field(sa_column=Column(ID, nullable=False))
    account: str = Field(sa_column=Column(STATE, nullable=False))
    api: str = Field(sa_column=Column(STATE, nullable=False))
    model: str = Field(sa_column=Column(MODEL, nullable=False))
    state: str = Field(sa_column=Column(STATE, nullable=False))
    status: int | None = Field(default=None, sa_column=Column(BigInteger))
    upstream_id: str | None = Field(default=None, sa_column=Column(String(200)))
    input_tokens: int = _count()
    output_tokens: int = _count()
    cache_read_tokens: int = _count()
    cache_write_tokens: int = _count()
    cost_usd: Decimal = _money()
    reserved_usd: Decimal = _money()
    known: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    price_known: bool = Field(default=True, sa_column=Column(Boolean, nullable=False))
    started_at: datetime = _time()
    answered_at: datetime | None = _maybe_time()
    ended_at: datetime | None = _maybe_time()


class ModelBudgetRaiseRow(SQLModel, table=True):
    """A budget that a person has raised; the same request raises it once."""

    __tablename__ = "model_budget_raises"
    __table_args__ = (Index("ix_model_budget_raises_scope", "scope", "scope_id"),)

    request_id: str = Field(sa_column=Column(String(200), primary_key=True))
    scope: str = Field(sa_column=Column(STATE, nullable=False))
    scope_id: str = Field(sa_column=Column(String(200), nullable=False))
    add_usd: Decimal = _money()
    raised_by: int = Field(sa_column=Column(BigInteger, nullable=False))
    raised_at: datetime = _time()


class ModelAccountRow(SQLModel, table=True):
    """An account with a vendor. `limited_by` is a ModelLimit, which is in force while `limited_until` lies ahead."""

    __tablename__ = "model_accounts"

    name: str = Field(sa_column=Column(STATE, primary_key=True))
    has_key: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    limited_by: Document | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    limited_until: datetime | None = _maybe_time()
    updated_at: datetime = _time()


class ModelWindowRow(SQLModel, table=True):
    """A model of an account that answers nothing until `limited_until`; the account's other models go on."""

    __tablename__ = "model_windows"

    account: str = Field(sa_column=Column(STATE, primary_key=True))
    model: str = Field(sa_column=Column(MODEL, primary_key=True))
    limited_by: Document = Field(sa_column=Column(JSONB(none_as_null=True), nullable=False))
    limited_until: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class CostEstimateRow(SQLModel, table=True):
    """What a task was expected to cost before it began; the same task is estimated once."""

    __tablename__ = "cost_estimates"

    task_id: str = Field(sa_column=Column(ID, primary_key=True))
    project_id: str = Field(sa_column=Column(ID, nullable=False))
    agent: str = Field(sa_column=Column(STATE, nullable=False))
    expected_usd: Decimal | None = Field(default=None, sa_column=Column(MONEY))
    low_usd: Decimal | None = Field(default=None, sa_column=Column(MONEY))
    high_usd: Decimal | None = Field(default=None, sa_column=Column(MONEY))
    earlier_tasks: int = _count()
    estimated_at: datetime = _time()


class PlatformSecretRow(SQLModel, table=True):
    """A secret of the installation, such as a model key: sealed like those of projects."""

    __tablename__ = "platform_secrets"

    name: str = Field(sa_column=Column(String(100), primary_key=True))
    key_id: str = Field(sa_column=Column(String(100), nullable=False, index=True))
    wrapped_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    ciphertext: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    changed_by: int = Field(sa_column=Column(BigInteger, nullable=False))
    updated_at: datetime = _time()
