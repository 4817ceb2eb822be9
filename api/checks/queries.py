"""What projects have promised, in the database. Whoever changes it has the project's row locked: one after another."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.paging import PageRequest, read_page
from api.problems import not_found
from api.tables import ProjectCheckRow, ProjectRow, ProposedChecksRow
from contracts.acceptance import AcceptanceCheck
from contracts.base import utc_now
from contracts.planning import MAX_KEPT, ChecksKept, KeepChecks, ProposedChecks


async def kept(session: AsyncSession, project_id: str) -> list[ProjectCheckRow]:
    """What runs at every change, in the order in which it was promised."""
    mine = col(ProjectCheckRow.project_id) == project_id
    statement = select(ProjectCheckRow).where(mine, col(ProjectCheckRow.dropped_at).is_(None))
    return list(await session.scalars(statement.order_by(col(ProjectCheckRow.number), col(ProjectCheckRow.id))))


async def page(
    session: AsyncSession, project_id: str, wanted: PageRequest, *, dropped: bool
) -> tuple[list[ProjectCheckRow], str | None]:
    """A part of the list for people; with those that somebody has dropped if asked for."""
    statement = select(ProjectCheckRow).where(col(ProjectCheckRow.project_id) == project_id)
    if not dropped:
        statement = statement.where(col(ProjectCheckRow.dropped_at).is_(None))
    return await read_page(session, statement, wanted, (ProjectCheckRow.number, ProjectCheckRow.id), descending=False)


async def proposed(session: AsyncSession, project_id: str, task_id: str) -> ProposedChecks | None:
    row = await session.get(ProposedChecksRow, (project_id, task_id))
    return ProposedChecks.model_validate(row.document) if row is not None else None


async def propose(session: AsyncSession, project_id: str, task_id: str, checks: ProposedChecks) -> None:
    """Take the place of what the task has proposed before. Raises NOT_FOUND without such a project."""
    await _lock(session, project_id)
    document = checks.model_dump(mode="json", by_alias=True)
    row = ProposedChecksRow(project_id=project_id, task_id=task_id, document=document, proposed_at=utc_now())
    await session.merge(row)


async def keep(session: AsyncSession, project_id: str, task_id: str, wanted: KeepChecks) -> ChecksKept:
    """Promise what the task has proposed and was met, as much of it as there is room for: the work is published, and
    what was promised before stays. A repetition finds no proposal, and changes nothing.

    Raises NOT_FOUND without such a project.
    """
    await _lock(session, project_id)
    row = await session.get(ProposedChecksRow, (project_id, task_id))
    if row is None:
        return ChecksKept()
    proposal = ProposedChecks.model_validate(row.document)
    await session.delete(row)
    await _forget(session, project_id, [*proposal.retires, *wanted.given_up])
    await session.flush()
    known = {one.id for one in await kept(session, project_id)}
    asked = {one.id for one in proposal.criteria} & set(wanted.met)
    met = [check for check in proposal.checks if check.criterion_id in asked]
    new = [check for check in met if check.id not in known]
    without_room = {check.id for check in new[max(0, MAX_KEPT - len(known)) :]}
    await _promise(session, project_id, task_id, proposal, [check for check in met if check.id not in without_room])
    sentences = {one.id: one.sentence for one in proposal.criteria}
    missed = [sentences[check.criterion_id] for check in met if check.id in without_room]
    return ChecksKept(not_kept=list(dict.fromkeys(missed)))


async def drop(session: AsyncSession, caller: Caller, project_id: str, check_id: str) -> ProjectCheckRow:
    """No longer run a check. Raises NOT_FOUND for one that the project has not, or not any more."""
    await _lock(session, project_id)
    row = await session.get(ProjectCheckRow, (project_id, check_id))
    if row is None or row.dropped_at is not None:
        raise not_found("check", check_id)
    row.dropped_by, row.dropped_at = caller.user_id, utc_now()
    return row


async def _promise(
    session: AsyncSession, project_id: str, task_id: str, proposal: ProposedChecks, met: Sequence[AcceptanceCheck]
) -> None:
    last = select(func.coalesce(func.max(ProjectCheckRow.number), 0)).where(
        col(ProjectCheckRow.project_id) == project_id
    )
    number, now = (await session.execute(last)).scalar_one(), utc_now()
    criteria = {one.id: one for one in proposal.criteria}
    for check in met:
        number += 1
        row = ProjectCheckRow(
            project_id=project_id,
            id=check.id,
            task_id=task_id,
            number=number,
            check_document=check.model_dump(mode="json", by_alias=True),
            criterion=criteria[check.criterion_id].model_dump(mode="json"),
            kept_at=now,
        )
        await session.merge(row)


async def _forget(session: AsyncSession, project_id: str, names: list[str]) -> None:
    mine = col(ProjectCheckRow.project_id) == project_id
    await session.execute(delete(ProjectCheckRow).where(mine, col(ProjectCheckRow.id).in_(names)))


async def _lock(session: AsyncSession, project_id: str) -> None:
    row = await session.get(ProjectRow, project_id, with_for_update=True)
    if row is None or row.deleted_at is not None:
        raise not_found("project", project_id)
