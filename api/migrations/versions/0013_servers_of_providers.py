"""Whose machines servers are, what opens them, and what people allow to be done to them."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_NEW: dict[str, tuple[Any, Any]] = {
    "provider": (sa.String(30), "static"),
    "machine_id": (sa.String(100), ""),
    "managed": (sa.Boolean(), sa.false()),
    "cpu_cores": (sa.BigInteger(), "0"),
    "price": (sa.String(100), ""),
    "image": (sa.String(200), ""),
}
_OPTIONAL: dict[str, Any] = {
    "provider_seen_at": sa.DateTime(timezone=True),
    "host_key_pinned_at": sa.DateTime(timezone=True),
    "host_key_pinned_by": sa.BigInteger(),
    "status_before": sa.String(30),
}


def upgrade() -> None:
    for name, (kind, default) in _NEW.items():
        op.add_column("servers", sa.Column(name, kind, nullable=False, server_default=default))
        op.alter_column("servers", name, server_default=None)
    for name, kind in _OPTIONAL.items():
        op.add_column("servers", sa.Column(name, kind, nullable=True))
    # The platform has made these containers; whatever else there is, somebody else has set up.
    op.execute("UPDATE servers SET provider = 'local', managed = true WHERE kind = 'container'")
    op.execute("UPDATE servers SET host_key_pinned_at = created_at WHERE host_key <> ''")
    op.create_table(
        "server_credentials",
        sa.Column("server_handle", sa.String(100), sa.ForeignKey("servers.handle"), primary_key=True),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("key_id", sa.String(100), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_server_credentials_key_id", "server_credentials", ["key_id"])
    op.create_table(
        "server_approvals",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("server_handle", sa.String(100), sa.ForeignKey("servers.handle"), nullable=False),
        sa.Column("act", sa.String(30), nullable=False),
        sa.Column("plan", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("plan_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(30), nullable=False),
        sa.Column("requested_by", sa.BigInteger(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_by", sa.String(100), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_server_approvals_server", "server_approvals", ["server_handle", "requested_at"])


def downgrade() -> None:
    op.drop_table("server_approvals")
    op.drop_table("server_credentials")
    for name in (*_OPTIONAL, *_NEW):
        op.drop_column("servers", name)
