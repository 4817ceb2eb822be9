"""What projects have promised: checks that run at every later change, and those that a task has proposed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "project_checks",
        sa.Column("project_id", sa.String(100), sa.ForeignKey("projects.id"), primary_key=True),
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("task_id", sa.String(100), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("check_document", postgresql.JSONB(), nullable=False),
        sa.Column("criterion", postgresql.JSONB(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dropped_by", sa.BigInteger(), nullable=True),
        sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_table(
        "proposed_checks",
        sa.Column("project_id", sa.String(100), sa.ForeignKey("projects.id"), primary_key=True),
        sa.Column("task_id", sa.String(100), primary_key=True),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("proposed_checks")
    op.drop_table("project_checks")
