"""The migrations of a project: a file for each change of a table, in one line of descent."""

import re
from collections.abc import Iterable, Sequence

from ..reading.wish import Entity, Field
from . import resources
from .workspace import Workspace

FOLDER = "services/backend/migrations/versions"
COLUMN_TYPES = {
    "string": ("sa.String(10_000)", ""), "text": ("sa.String(1_000_000)", ""), "integer": ("sa.Integer()", "0"),
    "number": ("sa.Float()", "0"), "boolean": ("sa.Boolean()", "0"), "date": ("sa.Date()", "1970-01-01"),
    "datetime": ("sa.DateTime(timezone=True)", "1970-01-01 00:00:00"), "password": ("sa.String(10_000)", ""),
}  # fmt: skip
"""SQLAlchemy's type of a value that is never null, and what rows of earlier releases get."""

FILE = '''"""{title}."""
{imports}
revision = "{revision}"
down_revision = {before}


def upgrade() -> None:
{upgrade}


def downgrade() -> None:
{downgrade}
'''
IMPORTS = """
import sqlalchemy as sa
from alembic import op
"""
CREATE = """    op.create_table(
        "{table}",
        sa.Column("id", sa.Integer(), primary_key=True),
{columns}
    )"""
DROP = """    op.drop_table("{table}")"""
ADD_COLUMN = """    op.add_column(
        "{table}",
        sa.Column(
            "{name}",
            {type},
            nullable={nullable},{default}
        ),
    )"""
DROP_COLUMN = """    op.drop_column(
        "{table}",
        "{name}",
    )"""
ALTER = """    with op.batch_alter_table("{table}") as batch:
        batch.alter_column(
            "{name}",
            existing_type={before},
            type_={after},
            nullable={nullable},
        )"""
FILL = """    op.execute(
        "UPDATE [{table}] SET [{name}] = '{value}' WHERE [{name}] IS NULL",
    )"""

MERGE = ("Go on from what was made at the same time", "    pass", "    pass")


def files(workspace: Workspace, entities: Iterable[Entity]) -> dict[str, str]:
    """Paths of new migrations and their content, from what the last commit has: a repetition gives the same."""
    versions = {path: workspace.committed(path) or "" for path in workspace.committed_files(FOLDER)}
    heads = _heads(versions.values())
    changes = [(entity.singular, change) for entity in entities if (change := _change(workspace, entity))]
    if not changes and len(heads) > 1:
        changes = [("merge", MERGE)]
    found: dict[str, str] = {}
    for name, (title, upgrade, downgrade) in changes:
        revision = f"{len(versions) + len(found) + 1:04}_{name}"
        found[f"{FOLDER}/{revision}.py"] = FILE.format(
            title=title,
            imports=IMPORTS if "op." in upgrade else "",
            revision=revision,
            before=_descent(heads),
            upgrade=upgrade,
            downgrade=downgrade,
        )
        heads = [revision]
    return found


def _heads(versions: Iterable[str]) -> list[str]:
    """Revisions that no other comes after; more than one after two wishes at the same time."""
    present, passed = set(), set()
    for text in versions:
        present |= set(re.findall(r'^revision\b.*?= "([^"]+)"', text, re.MULTILINE))
        for before in re.findall(r"^down_revision\b.*?= (.+)$", text, re.MULTILINE):
            passed |= set(re.findall(r'"([^"]+)"', before))
    return sorted(present - passed)


def _descent(heads: Sequence[str]) -> str:
    if not heads:
        return "None"
    names = ", ".join(f'"{head}"' for head in heads)
    return names if len(heads) == 1 else f"({names})"


def _change(workspace: Workspace, entity: Entity) -> tuple[str, str, str] | None:
    table = resources.table_name(entity)
    before = workspace.committed(resources.model_path(entity))
    if before is None:
        columns = "\n".join(f"        {_column(one)}," for one in entity.fields)
        return f"Create {table}", CREATE.format(table=table, columns=columns), DROP.format(table=table)
    present = {one.name: one for one in resources.existing_fields(before)}
    known = {*present, *(one.name for one in resources.retired_fields(before))}
    added = [one for one in entity.fields if one.name not in known]
    retired = [present[one.name] for one in entity.retired if one.name in present]
    retired = [one for one in retired if resources.never_null(one)]
    upgrade = [*(_added(table, one) for one in added), *(_freed(table, one) for one in retired)]
    if not upgrade:
        return None
    downgrade = [text for one in retired for text in _bound(table, one)]
    downgrade += [DROP_COLUMN.format(table=table, name=one.name) for one in reversed(added)]
    title = f"Change columns of {table}" if retired else f"Add columns to {table}"
    return title, "\n".join(upgrade), "\n".join(downgrade)


def _freed(table: str, field: Field) -> str:
    """Releases before this one go on using the column; this one leaves it empty."""
    before, after = _type(field), _free_type(field)
    return ALTER.format(table=table, name=field.name, before=before, after=after, nullable=True)


def _bound(table: str, field: Field) -> tuple[str, str]:
    """The way back: no value may be missing."""
    fill = FILL.format(table=table, name=field.name, value=COLUMN_TYPES[field.type][1])
    before, after = _free_type(field), _type(field)
    return fill, ALTER.format(table=table, name=field.name, before=before, after=after, nullable=False)


def _free_type(field: Field) -> str:
    kind = COLUMN_TYPES[field.type][0]
    return "sa.String()" if "String" in kind else kind


def _column(field: Field) -> str:
    return f'sa.Column("{field.name}", {_type(field)}, nullable={not resources.never_null(field)})'


def _added(table: str, field: Field) -> str:
    # The release before this one goes on writing rows without the new column.
    default = f'\n            server_default="{COLUMN_TYPES[field.type][1]}",' if resources.never_null(field) else ""
    nullable = not resources.never_null(field)
    return ADD_COLUMN.format(table=table, name=field.name, type=_type(field), nullable=nullable, default=default)


def _type(field: Field) -> str:
    # SQLModel gives an optional text no length.
    return COLUMN_TYPES[field.type][0] if resources.never_null(field) else _free_type(field)
