"""What projects remember, in the database. Whoever changes it has the project's row locked: one after another."""

from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.problems import not_found, permanent
from api.tables import ProjectMemoryRow, ProjectRow
from api.vault import Vault, names_with_value
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.memory import (
    MAX_FAILURES,
    FailureNote,
    FailureReport,
    MemoryEdit,
    MemoryPublished,
    MemoryToWrite,
    failure_line,
    merged,
    revision_of,
    with_new_lines,
)
from contracts.redaction import redacted_part


async def find(session: AsyncSession, project_id: str) -> ProjectMemoryRow | None:
    return await session.get(ProjectMemoryRow, project_id)


def pending(row: ProjectMemoryRow) -> MemoryToWrite:
    """What the repository does not have yet."""
    return MemoryToWrite(edited=row.edited, failures=[FailureNote.model_validate(one) for one in row.failures])


def shown(row: ProjectMemoryRow | None) -> str:
    """The memory as the next task begins with it."""
    return "" if row is None else merged(row.text, pending(row))


async def offer(session: AsyncSession, project_id: str, task_id: str) -> MemoryToWrite:
    """What a task writes before it begins. When that task is published, the repository has it."""
    row = await _locked(session, project_id)
    row.offered_to, row.offered_edit = task_id, row.edited_at
    return pending(row)


async def edit(session: AsyncSession, caller: Caller, project_id: str, wanted: MemoryEdit) -> ProjectMemoryRow:
    """Take the place of everything that was shown, failures included. CONFLICT if that is not what was read."""
    row = await _locked(session, project_id)
    if wanted.revision is not None and wanted.revision != revision_of(shown(row)):
        raise permanent(ErrorCode.CONFLICT, "The memory has changed since you read it. Read it again, then edit it.")
    row.edited, row.failures = wanted.text, []
    row.edited_by, row.edited_at = caller.user_id, utc_now()
    row.updated_at = utc_now()
    return row


async def report(session: AsyncSession, vault: Vault, project_id: str, told: FailureReport) -> None:
    """Remember a failure in one line, without values of the project's secrets."""
    names = sorted(await names_with_value(session, project_id))
    values = [value for name in names if (value := await vault.reveal(session, project_id, name))]
    line = failure_line(told.what, redacted_part(told.evidence, values))
    await note(session, project_id, FailureNote(key=told.key, line=line))


async def note(session: AsyncSession, project_id: str, failure: FailureNote) -> None:
    """Remember a failure; the same one again changes nothing. The newest stay."""
    row = await _locked(session, project_id)
    if all(one["key"] != failure.key for one in row.failures):
        row.failures = [*row.failures, failure.model_dump(mode="json")][-MAX_FAILURES:]
        row.updated_at = utc_now()


async def publish(session: AsyncSession, project_id: str, published: MemoryPublished) -> None:
    """The file as main has it now. What the task had been offered is in it; what came since waits for the next one."""
    row = await _locked(session, project_id)
    has_edit = row.offered_to == published.task_id and row.offered_edit == row.edited_at
    if row.edited is not None:
        row.edited = None if has_edit else with_new_lines(row.edited, row.text, published.text)
    row.failures = [one for one in row.failures if f"- {one['line']}" not in published.text]
    row.text, row.commit, row.updated_at = published.text, published.commit, utc_now()


async def _locked(session: AsyncSession, project_id: str) -> ProjectMemoryRow:
    """The memory of a project, made if there is none yet. Raises NOT_FOUND without such a project."""
    if await session.get(ProjectRow, project_id, with_for_update=True) is None:
        raise not_found("project", project_id)
    row = await session.get(ProjectMemoryRow, project_id, populate_existing=True)
    if row is None:
        row = ProjectMemoryRow(project_id=project_id, updated_at=utc_now())
        session.add(row)
        await session.flush()
    return row
