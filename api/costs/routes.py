"""What agents cost: of the projects that the caller may see, in a calendar month."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Person
from api.costs import queries, replies
from api.database import Session
from api.models import budgets
from api.problems import permanent
from api.settings.defaults import DefaultsDep
from api.visibility import find_project
from contracts.base import Identifier, utc_now
from contracts.costs import CostGrouping, CostReport
from contracts.errors import ErrorCode

router = APIRouter(tags=["costs"])

Month = Annotated[
    str | None, Query(pattern=r"^[0-9]{4}-[0-9]{2}$", description="such as 2026-11; this month without it")
]


@router.get("/costs")
async def costs(
    session: Session,
    caller: Person,
    defaults: DefaultsDep,
    month: Month = None,
    project_id: Annotated[Identifier | None, Query()] = None,
    by: Annotated[CostGrouping, Query()] = "project",
) -> CostReport:
    """One's own costs, of an administrator everybody's: by project, task, agent, model or role."""
    month = month or budgets.month_of(utc_now())
    try:
        since, until = budgets.month_bounds(month)
    except ValueError:
        raise permanent(ErrorCode.INVALID_INPUT, f"There is no month {month}; write it as 2026-11.") from None
    if project_id is not None:
        await find_project(session, caller, project_id)
    wanted = queries.Wanted(since=since, until=until, by=by, project_id=project_id)
    rows, more = await queries.lines(session, caller, wanted)
    keys = [row.key for row in rows]
    names = await queries.names(session, by, keys)
    estimates = await queries.estimates(session, keys) if by == "task" else {}
    return CostReport(
        month=month,
        since=since,
        until=until,
        by=by,
        total=replies.line(await queries.total(session, caller, wanted), {}, {}),
        items=[replies.line(row, names, estimates) for row in rows],
        more=more,
        budgets=await queries.month_budgets(session, caller, month, project_id, defaults),
    )
