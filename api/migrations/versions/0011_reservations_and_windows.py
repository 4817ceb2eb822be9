"""What open requests may cost at most, and limits of single models."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "model_requests", sa.Column("reserved_usd", sa.Numeric(20, 10), nullable=False, server_default=sa.text("0"))
    )
    op.alter_column("model_requests", "reserved_usd", server_default=None)
    op.create_table(
        "model_windows",
        sa.Column("account", sa.String(30), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("limited_by", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("limited_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", "model", name=op.f("pk_model_windows")),
    )


def downgrade() -> None:
    op.drop_table("model_windows")
    op.drop_column("model_requests", "reserved_usd")
