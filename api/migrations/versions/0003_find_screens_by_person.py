"""Find a person's screens in all chats: a secret may be asked for in a group and be sent in private."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_chat_screens_user", "chat_screens", ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_chat_screens_user", table_name="chat_screens")
