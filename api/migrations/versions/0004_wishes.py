"""Tasks say what has become of each clause of their wish."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004_wishes"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "tasks", sa.Column("criteria", postgresql.JSONB(none_as_null=True), server_default="[]", nullable=False)
    )
    op.alter_column("tasks", "criteria", server_default=None)


def downgrade() -> None:
    op.drop_column("tasks", "criteria")
