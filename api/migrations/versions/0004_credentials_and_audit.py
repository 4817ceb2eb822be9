"""Credentials in one table that forgets none, the state of a person, and the audit trail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOVE_KEYS = """
INSERT INTO credentials (id, kind, secret_hash, user_id, name, created_at)
SELECT 'key-' || substr(md5(key_hash), 1, 16), 'key', key_hash, user_id, '', created_at FROM api_keys
"""
_MOVE_TOKENS = """
INSERT INTO credentials (id, kind, secret_hash, user_id, name, project_id, commands, created_at, expires_at)
SELECT 'token-' || substr(md5(token_hash), 1, 16), 'token', token_hash, user_id, '', project_id, commands, created_at,
       expires_at
FROM agent_tokens
"""
_MOVE_KEYS_BACK = """
INSERT INTO api_keys (key_hash, user_id, created_at)
SELECT secret_hash, user_id, created_at FROM credentials
WHERE kind = 'key' AND ended_at IS NULL AND expires_at IS NULL
"""
_MOVE_TOKENS_BACK = """
INSERT INTO agent_tokens (token_hash, user_id, project_id, commands, expires_at, created_at)
SELECT secret_hash, user_id, project_id, commands, expires_at, created_at FROM credentials
WHERE kind = 'token' AND ended_at IS NULL
"""
_REFUSE = """
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'entries of the audit trail are only added'; END $$
"""


def upgrade() -> None:
    op.add_column("users", sa.Column("state", sa.String(length=30), nullable=False, server_default="active"))
    op.alter_column("users", "state", server_default=None)
    _create_credentials()
    op.execute(_MOVE_KEYS)
    op.execute(_MOVE_TOKENS)
    op.drop_table("agent_tokens")
    op.drop_table("api_keys")
    _create_audit()


def downgrade() -> None:
    op.drop_table("audit")
    op.execute("DROP FUNCTION audit_is_append_only()")
    _create_former_tables()
    op.execute(_MOVE_KEYS_BACK)
    op.execute(_MOVE_TOKENS_BACK)
    op.drop_table("credentials")
    op.drop_column("users", "state")


def _create_credentials() -> None:
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("made_with", sa.String(length=100), nullable=True),
        sa.Column("project_id", sa.String(length=100), nullable=True),
        sa.Column("commands", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("address", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_credentials_project_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_credentials_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_credentials_secret_hash")),
    )
    op.create_index("ix_credentials_user_id", "credentials", ["user_id", "created_at"], unique=False)
    for column in ("made_with", "project_id", "expires_at"):
        op.create_index(op.f(f"ix_credentials_{column}"), "credentials", [column], unique=False)


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("role", sa.String(length=30), nullable=True),
        sa.Column("via", sa.String(length=30), nullable=False),
        sa.Column("credential", sa.String(length=100), nullable=True),
        sa.Column("address", sa.String(length=100), nullable=True),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("target", sa.String(length=400), nullable=False),
        sa.Column("result", sa.String(length=60), nullable=False),
        sa.Column("details", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("request_id", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_user_id", "audit", ["user_id", "id"], unique=False)
    op.create_index("ix_audit_action", "audit", ["action", "id"], unique=False)
    op.execute(_REFUSE)
    for when in ("UPDATE OR DELETE ON audit FOR EACH ROW", "TRUNCATE ON audit FOR EACH STATEMENT"):
        name = "audit_no_truncate" if when.startswith("TRUNCATE") else "audit_no_change"
        op.execute(f"CREATE TRIGGER {name} BEFORE {when} EXECUTE FUNCTION audit_is_append_only()")


def _create_former_tables() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_api_keys_user_id")),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_user_id"), "api_keys", ["user_id"], unique=False)
    op.create_table(
        "agent_tokens",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.String(length=100), nullable=False),
        sa.Column("commands", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_agent_tokens_project_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_agent_tokens_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_agent_tokens")),
    )
    op.create_index(op.f("ix_agent_tokens_expires_at"), "agent_tokens", ["expires_at"], unique=False)
