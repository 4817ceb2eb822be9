"""Remember chats: screens, updates, and the language of a person."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("language", sa.String(length=10), nullable=True))
    op.create_table(
        "chat_screens",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("bot_id", sa.BigInteger(), nullable=False),
        sa.Column("chat_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("language", sa.String(length=10), nullable=False),
        sa.Column("wish", sa.Text(), nullable=False),
        sa.Column("project_id", sa.String(length=100), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("task_id", sa.String(length=100), nullable=True),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_chat_screens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_screens")),
    )
    op.create_index(
        "ix_chat_screens_open", "chat_screens", ["bot_id"], unique=False, postgresql_where=sa.text("NOT final")
    )
    op.create_index("ix_chat_screens_message", "chat_screens", ["chat_id", "message_id"], unique=False)
    op.create_table(
        "chat_updates",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_updates")),
    )
    op.create_index(op.f("ix_chat_updates_created_at"), "chat_updates", ["created_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_chat_updates_created_at"), table_name="chat_updates")
    op.drop_table("chat_updates")
    op.drop_index("ix_chat_screens_message", table_name="chat_screens")
    op.drop_index("ix_chat_screens_open", table_name="chat_screens", postgresql_where=sa.text("NOT final"))
    op.drop_table("chat_screens")
    op.drop_column("users", "language")
