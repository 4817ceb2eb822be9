"""Settings of projects, and the installation's, which are the defaults of every project."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.audit.trail import Act, audited
from api.auth import Admin, Person
from api.database import Session
from api.paging import PageDep
from api.settings import queries, replies
from api.settings.defaults import DefaultsDep
from api.visibility import Right, find_project
from contracts.base import Identifier
from contracts.project_settings import (
    SettingHistory,
    SettingList,
    SettingValue,
    SettingWrite,
    check_name,
    check_value,
)
from contracts.subjects import Subject

router = APIRouter(tags=["settings"])

ProjectId = Annotated[Identifier, Path()]
Name = Annotated[Identifier, Path()]
Chooses = Annotated[Act, audited("setting.choose")]


@router.get("/settings")
async def list_settings(session: Session, caller: Admin, defaults: DefaultsDep) -> SettingList:
    """The installation's settings."""
    return replies.settings(defaults, await queries.choices(session, Subject.installation()))


@router.put("/settings/{name}")
async def choose_setting(
    act: Chooses,
    name: Name,
    body: SettingWrite,
    session: Session,
    caller: Admin,
    defaults: DefaultsDep,
) -> SettingList:
    """Set the value for every project that has none of its own; null removes it."""
    act.tell(value=body.value)
    _check(name, body.value)
    await queries.choose(session, caller, Subject.installation(), name, body.value)
    return replies.settings(defaults, await queries.choices(session, Subject.installation()))


@router.get("/settings/{name}/history")
async def list_versions(name: Name, session: Session, caller: Admin, page: PageDep) -> SettingHistory:
    """Who has chosen what, and when."""
    check_name(name)
    return replies.history(name, *await queries.history_part(session, Subject.installation(), name, page))


@router.get("/projects/{project_id}/settings")
async def list_project_settings(
    project_id: ProjectId, session: Session, caller: Person, defaults: DefaultsDep
) -> SettingList:
    """The project's settings, each with its source."""
    await find_project(session, caller, project_id)
    installation = await queries.choices(session, Subject.installation())
    return replies.settings(defaults, installation, await queries.choices(session, Subject.project(project_id)))


@router.put("/projects/{project_id}/settings/{name}")
async def choose_project_setting(
    act: Chooses,
    project_id: ProjectId,
    name: Name,
    body: SettingWrite,
    session: Session,
    caller: Person,
    defaults: DefaultsDep,
) -> SettingList:
    """Set the value for this project; for its owners. Null returns to the installation's value."""
    await find_project(session, caller, project_id, Right.OWN)
    act.tell(value=body.value)
    _check(name, body.value)
    await queries.choose(session, caller, Subject.project(project_id), name, body.value)
    return await list_project_settings(project_id, session, caller, defaults)


@router.get("/projects/{project_id}/settings/{name}/history")
async def list_project_versions(
    project_id: ProjectId, name: Name, session: Session, caller: Person, page: PageDep
) -> SettingHistory:
    """Who has chosen what, and when."""
    await find_project(session, caller, project_id)
    check_name(name)
    return replies.history(name, *await queries.history_part(session, Subject.project(project_id), name, page))


def _check(name: str, value: SettingValue) -> None:
    check_name(name) if value is None else check_value(name, value)
