"""Agent workers that have their owner's log-in at a vendor are their owner's alone."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "agent_workers", sa.Column("uses_login", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    op.alter_column("agent_workers", "uses_login", server_default=None)


def downgrade() -> None:
    op.drop_column("agent_workers", "uses_login")
