"""Projects can be deleted, and a generated secret is shown once."""

import sqlalchemy as sa
from alembic import op

revision = "0004_i12_commands"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("secrets", sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("secrets", "shown_at")
    op.drop_column("projects", "deleted_at")
