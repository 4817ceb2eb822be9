"""How a question of the platform is worded; which releases can be returned to, and which task moves one."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# A rollback that was terminated has left its release half-way for ever. One that still runs records its state again.
_SETTLE = """
    UPDATE releases SET state = 'superseded', error_code = coalesce(error_code, 'WORKFLOW_LOST'),
        error = coalesce(error, 'Its rollback ended without recording what became of it.')
    WHERE served AND state IN ('pending', 'building', 'starting', 'probing')
        AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.subject_kind = 'project'
            AND tasks.subject_id = releases.project_id AND tasks.kind = 'deploy'
            AND tasks.state IN ('queued', 'running', 'waiting'))
"""


def upgrade() -> None:
    op.add_column("questions", sa.Column("wording", postgresql.JSONB(none_as_null=True), nullable=True))
    op.add_column("releases", sa.Column("moved_by", sa.String(100), nullable=True))
    op.add_column("releases", sa.Column("kept", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.alter_column("releases", "kept", server_default=None)
    op.execute(_SETTLE)


def downgrade() -> None:
    op.drop_column("releases", "kept")
    op.drop_column("releases", "moved_by")
    op.drop_column("questions", "wording")
