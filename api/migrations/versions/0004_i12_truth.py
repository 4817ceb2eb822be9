"""What serves a project if that is not simply its active release; open tasks are found without reading all."""

import sqlalchemy as sa
from alembic import op

revision = "0004_i12_truth"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("serving", sa.Text(), nullable=True))
    op.create_index(
        "ix_tasks_open",
        "tasks",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'running', 'waiting')"),
    )


def downgrade() -> None:
    op.drop_index("ix_tasks_open", table_name="tasks")
    op.drop_column("projects", "serving")
