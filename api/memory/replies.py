"""A project's memory as the API shows it."""

from api.memory import queries
from api.tables import ProjectMemoryRow
from contracts.memory import ProjectMemory, revision_of


def memory(row: ProjectMemoryRow | None) -> ProjectMemory:
    text = queries.shown(row)
    if row is None:
        return ProjectMemory(text=text, revision=revision_of(text))
    return ProjectMemory(
        text=text,
        revision=revision_of(text),
        commit=row.commit,
        pending=row.edited is not None or bool(row.failures),
        edited_by=row.edited_by,
        edited_at=row.edited_at,
    )
