"""The parts of a large wish, and what projects remember."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    empty = sa.text("'[]'::jsonb")
    op.add_column(
        "tasks", sa.Column("parts", postgresql.JSONB(none_as_null=True), nullable=False, server_default=empty)
    )
    op.alter_column("tasks", "parts", server_default=None)
    op.create_table(
        "project_memories",
        sa.Column("project_id", sa.String(100), sa.ForeignKey("projects.id"), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("commit", sa.String(40), nullable=True),
        sa.Column("edited", sa.Text(), nullable=True),
        sa.Column("edited_by", sa.BigInteger(), nullable=True),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("offered_to", sa.String(100), nullable=True),
        sa.Column("offered_edit", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("project_memories")
    op.drop_column("tasks", "parts")
