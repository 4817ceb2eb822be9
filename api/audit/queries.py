"""The audit trail in the database."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.paging import PageRequest, read_page
from api.tables import AuditRow


async def list_entries(
    session: AsyncSession,
    page: PageRequest,
    *,
    user_id: int | None,
    action: str | None,
    target: str | None,
    since: datetime | None,
) -> tuple[list[AuditRow], str | None]:
    """Entries, newest first. None means any; `action` and `target` also match what continues after a dot or a slash."""
    statement = select(AuditRow)
    if user_id is not None:
        statement = statement.where(col(AuditRow.user_id) == user_id)
    if since is not None:
        statement = statement.where(col(AuditRow.at) >= since)
    for column, wanted, then in ((AuditRow.action, action, "."), (AuditRow.target, target, "/")):
        if wanted is not None:
            begins = col(column).startswith(f"{wanted}{then}", autoescape=True)
            statement = statement.where((col(column) == wanted) | begins)
    return await read_page(session, statement, page, (AuditRow.id,))
