"""Releases have a link for each service, and what was last seen of their services."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "i12_live"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    empty = sa.text("'{}'::jsonb")
    op.add_column("releases", sa.Column("links", postgresql.JSONB(), server_default=empty, nullable=False))
    op.alter_column("releases", "links", server_default=None)
    op.add_column("releases", sa.Column("health", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("releases", "health")
    op.drop_column("releases", "links")
