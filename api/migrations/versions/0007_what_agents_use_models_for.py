"""What agents use models for and what that costs; secrets of the installation, such as a model key."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MONEY = sa.Numeric(20, 10)


def upgrade() -> None:
    _turns()
    _requests()
    _budgets()
    _accounts()
    _secrets()


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _turns() -> None:
    op.create_table(
        "model_turns",
        sa.Column("worker_id", sa.String(100), nullable=False),
        sa.Column("turn", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.String(100), nullable=False),
        sa.Column("project_id", sa.String(100), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("agent", sa.String(30), nullable=False),
        sa.Column("role", sa.String(30), nullable=False),
        sa.Column("key_id", sa.String(100), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("stopped_by", postgresql.JSONB(none_as_null=True), nullable=True),
        _time("opened_at"),
        _time("ended_at", nullable=True),
        sa.PrimaryKeyConstraint("worker_id", "turn", name=op.f("pk_model_turns")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_model_turns_token_hash")),
    )
    op.create_index("ix_model_turns_task_id", "model_turns", ["task_id"])


def _requests() -> None:
    op.create_table(
        "model_requests",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("worker_id", sa.String(100), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.String(100), nullable=False),
        sa.Column("project_id", sa.String(100), nullable=False),
        sa.Column("account", sa.String(30), nullable=False),
        sa.Column("api", sa.String(30), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("state", sa.String(30), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("upstream_id", sa.String(200), nullable=True),
        *(sa.Column(f"{kind}_tokens", sa.BigInteger(), nullable=False)
          for kind in ("input", "output", "cache_read", "cache_write")),
        sa.Column("cost_usd", _MONEY, nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.Column("price_known", sa.Boolean(), nullable=False),
        _time("started_at"),
        _time("answered_at", nullable=True),
        _time("ended_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_requests")),
        sa.ForeignKeyConstraint(
            ["worker_id", "turn"], ["model_turns.worker_id", "model_turns.turn"],
            name=op.f("fk_model_requests_worker_id"),
        ),
    )  # fmt: skip
    op.create_index("ix_model_requests_turn", "model_requests", ["worker_id", "turn"])
    op.create_index("ix_model_requests_task_id", "model_requests", ["task_id"])
    op.create_index("ix_model_requests_project_id", "model_requests", ["project_id", "started_at"])
    op.create_index("ix_model_requests_started_at", "model_requests", ["started_at"])
    op.create_index("ix_model_requests_open", "model_requests", ["id"], postgresql_where=sa.text("state = 'open'"))


def _budgets() -> None:
    op.create_table(
        "model_budget_raises",
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("scope", sa.String(30), nullable=False),
        sa.Column("scope_id", sa.String(200), nullable=False),
        sa.Column("add_usd", _MONEY, nullable=False),
        sa.Column("raised_by", sa.BigInteger(), nullable=False),
        _time("raised_at"),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_model_budget_raises")),
    )
    op.create_index("ix_model_budget_raises_scope", "model_budget_raises", ["scope", "scope_id"])
    op.create_table(
        "cost_estimates",
        sa.Column("task_id", sa.String(100), nullable=False),
        sa.Column("project_id", sa.String(100), nullable=False),
        sa.Column("agent", sa.String(30), nullable=False),
        *(sa.Column(f"{which}_usd", _MONEY, nullable=True) for which in ("expected", "low", "high")),
        sa.Column("earlier_tasks", sa.BigInteger(), nullable=False),
        _time("estimated_at"),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_cost_estimates")),
    )


def _accounts() -> None:
    op.create_table(
        "model_accounts",
        sa.Column("name", sa.String(30), nullable=False),
        sa.Column("has_key", sa.Boolean(), nullable=False),
        sa.Column("limited_by", postgresql.JSONB(none_as_null=True), nullable=True),
        _time("limited_until", nullable=True),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_model_accounts")),
    )


def _secrets() -> None:
    op.create_table(
        "platform_secrets",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("key_id", sa.String(100), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("changed_by", sa.BigInteger(), nullable=False),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_platform_secrets")),
    )
    op.create_index(op.f("ix_platform_secrets_key_id"), "platform_secrets", ["key_id"])


def downgrade() -> None:
    for table in (
        "platform_secrets", "model_accounts", "cost_estimates", "model_budget_raises", "model_requests", "model_turns",
    ):  # fmt: skip
        op.drop_table(table)
