"""How a release is recorded: the states it may go through, and one active release per project."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.problems import not_found, permanent
from api.tables import ProjectRow, ReleaseRow, ServerRow
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.nouns import DeploymentRecord, ReleaseHealth
from contracts.states import ProjectStatus, ReleaseState

_IN_PROGRESS = {ReleaseState.PENDING, ReleaseState.BUILDING, ReleaseState.STARTING, ReleaseState.PROBING}
_ENDED = {ReleaseState.FAILED, ReleaseState.ROLLED_BACK, ReleaseState.REMOVED}
_MAY_BE_LIVE_AGAIN = _IN_PROGRESS | _ENDED | {ReleaseState.ACTIVE}

_NEXT: dict[ReleaseState, set[ReleaseState]] = {
    # In any order, since a step that is repeated after a crash reports its state again. A release whose rollback
    # failed becomes superseded again.
    **{state: _MAY_BE_LIVE_AGAIN | {ReleaseState.SUPERSEDED} for state in _IN_PROGRESS},
    ReleaseState.ACTIVE: {ReleaseState.SUPERSEDED, *_ENDED},
    # A release that served may come back by a rollback; a failed or removed one never does.
    ReleaseState.SUPERSEDED: _MAY_BE_LIVE_AGAIN,
    ReleaseState.ROLLED_BACK: _MAY_BE_LIVE_AGAIN,
    ReleaseState.FAILED: {ReleaseState.REMOVED},
    ReleaseState.REMOVED: set(),
}
_FIRST = _IN_PROGRESS | {ReleaseState.FAILED}
_KEPT_WHEN_ABSENT = ("server_handle", "url", "services", "error_code", "error", "log", "image", "links")


async def record(session: AsyncSession, given: DeploymentRecord) -> ReleaseRow:
    """Insert or update by id. What the record leaves out stays as it is; a step that is not allowed is a CONFLICT."""
    # Everything that happens to a project's releases locks the project's row first, and so happens in order.
    project = await session.get(ProjectRow, given.project_id, with_for_update=True, populate_existing=True)
    if project is None:
        raise not_found("project", given.project_id)
    if given.server_handle is not None and await session.get(ServerRow, given.server_handle) is None:
        raise not_found("server", given.server_handle)
    row = await session.get(ReleaseRow, given.id, populate_existing=True)
    row = await _insert(session, given) if row is None else row
    _check_same(row, given)
    before = ReleaseState(row.state)
    if given.state is ReleaseState.ACTIVE and before is not ReleaseState.ACTIVE:
        await _supersede_active(session, project.id)
    _update(row, given)
    await _update_project(session, project, row, before)
    if row.state == ReleaseState.ACTIVE:
        project.serving = None
    elif given.serving is not None:
        project.serving = given.serving or None
    if given.still_built is not None:
        await _record_what_is_kept(session, project.id, given.still_built)
    await session.flush()
    return row


async def _insert(session: AsyncSession, given: DeploymentRecord) -> ReleaseRow:
    if given.state not in _FIRST:
        raise permanent(ErrorCode.CONFLICT, f"A new release cannot be {given.state.value}; record it as pending.")
    newest = select(func.coalesce(func.max(col(ReleaseRow.number)), 0)).where(
        col(ReleaseRow.project_id) == given.project_id
    )
    number = (await session.execute(newest)).scalar_one() + 1
    row = ReleaseRow(
        id=given.id,
        project_id=given.project_id,
        number=number,
        task_id=given.task_id,
        commit=given.commit,
        state=given.state.value,
    )
    session.add(row)
    return row


def _check_same(row: ReleaseRow, given: DeploymentRecord) -> None:
    if (row.project_id, row.commit) != (given.project_id, given.commit):
        raise permanent(ErrorCode.CONFLICT, f"The release {given.id!r} belongs to another project or another commit.")
    before = ReleaseState(row.state)
    legal = given.state in _NEXT[before] and (row.served or given.state is not ReleaseState.SUPERSEDED)
    if given.state is not before and not legal:
        raise permanent(ErrorCode.CONFLICT, f"A release that is {before.value} cannot become {given.state.value}.")


async def _supersede_active(session: AsyncSession, project_id: str) -> None:
    statement = select(ReleaseRow).where(
        col(ReleaseRow.project_id) == project_id, col(ReleaseRow.state) == ReleaseState.ACTIVE
    )
    for former in await session.scalars(statement):
        former.state, former.health = ReleaseState.SUPERSEDED, None
        former.updated_at = utc_now()
    # Before the next one becomes active: the index allows one at a time.
    await session.flush()


async def _record_what_is_kept(session: AsyncSession, project_id: str, still_built: list[str]) -> None:
    """Only an image cannot be made again: what runs as processes is built from its commit when it is needed."""
    statement = select(ReleaseRow).where(col(ReleaseRow.project_id) == project_id, col(ReleaseRow.image).is_not(None))
    for row in await session.scalars(statement):
        row.kept = row.id in still_built


def _update(row: ReleaseRow, given: DeploymentRecord) -> None:
    row.state = given.state.value
    if given.state in _IN_PROGRESS:
        row.moved_by = given.task_id
    row.updated_at = utc_now()
    document = given.model_dump(mode="json")
    for name in _KEPT_WHEN_ABSENT:
        if document[name]:
            setattr(row, name, document[name])
    if given.state is not ReleaseState.ACTIVE:
        row.health = None
    else:
        # A release that serves has no error, even if an earlier attempt to go back to it failed.
        row.served, row.error_code, row.error = True, None, None


async def _update_project(session: AsyncSession, project: ProjectRow, row: ReleaseRow, before: ReleaseState) -> None:
    if row.state == ReleaseState.ACTIVE:
        project.url = row.url
        if project.status != ProjectStatus.ARCHIVED:
            project.status = ProjectStatus.ACTIVE
    elif before is ReleaseState.ACTIVE:
        project.url = None
        if project.status == ProjectStatus.ACTIVE:
            project.status = ProjectStatus.FAILED if row.state == ReleaseState.FAILED else ProjectStatus.SCAFFOLDED
    else:
        return
    project.updated_at = utc_now()


async def settle(session: AsyncSession, task_id: str) -> None:
    """Record the end of what a deploy has left half-way, such as one that was terminated: nothing goes on with it.

    The caller holds the lock of the project.
    """
    # A rollback moves a release that an earlier deploy has made.
    moving = func.coalesce(col(ReleaseRow.moved_by), col(ReleaseRow.task_id))
    statement = select(ReleaseRow).where(
        moving == task_id, col(ReleaseRow.state).in_([state.value for state in _IN_PROGRESS])
    )
    for row in await session.scalars(statement):
        row.state = (ReleaseState.SUPERSEDED if row.served else ReleaseState.FAILED).value
        row.error_code = row.error_code or ErrorCode.WORKFLOW_LOST.value
        row.error = row.error or "Its deploy ended without recording what became of it."
        row.updated_at = utc_now()


async def record_health(session: AsyncSession, release_id: str, seen: ReleaseHealth) -> ReleaseRow:
    """What was seen last. Of a release that no longer serves, and of an earlier look, nothing is kept."""
    row = await session.get(ReleaseRow, release_id, with_for_update=True)
    if row is None:
        raise not_found("release", release_id)
    before = ReleaseHealth.model_validate(row.health) if row.health else None
    if row.state == ReleaseState.ACTIVE and (before is None or before.seen_at <= seen.seen_at):
        row.health = seen.model_dump(mode="json")
        await session.flush()
    return row
