"""Versions of settings in the database."""

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.paging import PageRequest, read_page
from api.tables import SettingRow, subject_columns
from contracts.project_settings import ProjectSettings
from contracts.subjects import Subject

Choices = dict[str, SettingRow]
"""The newest version of each setting that was chosen, by name; not those that were taken back."""


async def choices(session: AsyncSession, subject: Subject) -> Choices:
    """The values that the subject has chosen."""
    statement = select(SettingRow).filter_by(**subject_columns(subject)).ext(distinct_on(col(SettingRow.name)))
    rows = await session.scalars(statement.order_by(col(SettingRow.name), col(SettingRow.version).desc()))
    return {row.name: row for row in rows if row.value is not None}


async def effective(session: AsyncSession, project_id: str, defaults: ProjectSettings) -> ProjectSettings:
    """The settings of a project: its own choices before the installation's before the defaults."""
    chosen = await choices(session, Subject.installation()) | await choices(session, Subject.project(project_id))
    values = {name: row.value for name, row in chosen.items() if name in ProjectSettings.model_fields}
    return ProjectSettings.model_validate({**defaults.model_dump(), **values})


async def history(session: AsyncSession, subject: Subject, name: str) -> list[SettingRow]:
    """All versions of a setting, newest first."""
    statement = select(SettingRow).filter_by(**subject_columns(subject), name=name)
    return list(await session.scalars(statement.order_by(col(SettingRow.version).desc())))


async def history_part(
    session: AsyncSession, subject: Subject, name: str, page: PageRequest
) -> tuple[list[SettingRow], str | None]:
    """A part of the versions of a setting, newest first."""
    statement = select(SettingRow).filter_by(**subject_columns(subject), name=name)
    return await read_page(session, statement, page, (SettingRow.version,))


async def choose(session: AsyncSession, caller: Caller, subject: Subject, name: str, value: object) -> None:
    """Add a version. If the setting already has this value, add none, so that a repetition changes nothing."""
    # Two who change one thing at once get two numbers.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"settings of {subject}"))))
    versions = await history(session, subject, name)
    if value == (versions[0].value if versions else None):
        return
    number = versions[0].version + 1 if versions else 1
    session.add(
        SettingRow(**subject_columns(subject), name=name, version=number, value=value, changed_by=caller.user_id)
    )
    await session.flush()
