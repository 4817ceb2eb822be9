"""Agent workers as their workflows have told of them, and what those did that work for no task."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent_workers",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.String(100), nullable=True),
        sa.Column("task_id", sa.String(100), nullable=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("agent", sa.String(30), nullable=False),
        sa.Column("state", sa.String(30), nullable=False),
        sa.Column("turns", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.String(100), nullable=False),
        sa.Column("last_event_seq", sa.BigInteger(), nullable=False),
        sa.Column("current_request", sa.String(200), nullable=True),
        sa.Column("session_id", sa.String(200), nullable=True),
        sa.Column("repository", sa.String(201), nullable=True),
        sa.Column("branch", sa.String(200), nullable=True),
        sa.Column("commit", sa.String(40), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("cost_usd", sa.Double(), nullable=True),
        sa.Column("unmetered", sa.Boolean(), nullable=False),
        sa.Column("transcripts", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("last_event", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agent_workers"),
    )
    op.create_index("ix_agent_workers_user", "agent_workers", ["user_id", "created_at"])
    op.create_index("ix_agent_workers_project", "agent_workers", ["project_id", "created_at"])
    op.create_index("ix_agent_workers_transcripts", "agent_workers", ["transcripts"], postgresql_using="gin")
    op.create_table(
        "agent_worker_events",
        sa.Column("worker_id", sa.String(100), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("event", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["worker_id"], ["agent_workers.id"], name="fk_agent_worker_events_worker_id"),
        sa.PrimaryKeyConstraint("worker_id", "seq", name="pk_agent_worker_events"),
        sa.UniqueConstraint("worker_id", "key", name="uq_agent_worker_events_worker_id_key"),
    )


def downgrade() -> None:
    op.drop_table("agent_worker_events")
    op.drop_table("agent_workers")
