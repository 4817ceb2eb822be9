"""What serves a project, and how its services are; what became of a wish; deleted projects; secrets shown once."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("serving", sa.Text(), nullable=True))
    op.add_column("projects", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("secrets", sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True))
    _add_filled("releases", "links", postgresql.JSONB(), sa.text("'{}'::jsonb"))
    op.add_column("releases", sa.Column("health", postgresql.JSONB(), nullable=True))
    _add_filled("tasks", "criteria", postgresql.JSONB(none_as_null=True), sa.text("'[]'::jsonb"))
    # Open tasks are found without reading all.
    is_open = sa.text("state IN ('queued', 'running', 'waiting')")
    op.create_index("ix_tasks_open", "tasks", ["id"], unique=False, postgresql_where=is_open)


def downgrade() -> None:
    op.drop_index("ix_tasks_open", table_name="tasks")
    op.drop_column("tasks", "criteria")
    op.drop_column("releases", "health")
    op.drop_column("releases", "links")
    op.drop_column("secrets", "shown_at")
    op.drop_column("projects", "deleted_at")
    op.drop_column("projects", "serving")


def _add_filled(table: str, name: str, kind: postgresql.JSONB, value: sa.TextClause) -> None:
    """A column that must not be empty, with `value` in the rows that are there."""
    op.add_column(table, sa.Column(name, kind, server_default=value, nullable=False))
    op.alter_column(table, name, server_default=None)
