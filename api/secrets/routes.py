"""A project's secrets: values go in; only a generated one comes out, once, for the project's owner."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from api.audit.trail import Act, audited
from api.auth import Caller, Person, PersonWithKey, agents_may
from api.database import Session
from api.gateway import GatewayDep
from api.problems import not_found, permanent
from api.secrets import queries, replies
from api.secrets.answering import answer_waiting_questions
from api.vault import VaultDep
from api.visibility import Right, find_project, find_working_project, role_in
from contracts.base import Identifier
from contracts.errors import ErrorCode
from contracts.nouns import SecretDTO, SecretList, SecretShown, SecretWrite
from contracts.project_spec import SecretName
from contracts.states import MemberRole
from contracts.subjects import Subject

router = APIRouter(tags=["secrets"])

UNANSWERED_HEADER = "X-Unanswered-Questions"
"""Ids of the questions that wait for this secret and could not be told; the secret is stored anyway."""

ProjectId = Annotated[Identifier, Path()]
Name = Annotated[SecretName, Path()]
MayList = Annotated[Caller, Depends(agents_may("secret.list"))]


@router.get("/projects/{project_id}/secrets")
async def list_secrets(project_id: ProjectId, session: Session, caller: MayList) -> SecretList:
    """Names and references, never values."""
    await find_project(session, caller, project_id)
    return SecretList(items=[replies.secret(row) for row in await queries.list_of_project(session, project_id)])


@router.put("/projects/{project_id}/secrets/{name}")
async def set_secret(
    act: Annotated[Act, audited("secret.set")],
    project_id: ProjectId,
    name: Name,
    body: SecretWrite,
    session: Session,
    caller: Person,
    gateway: GatewayDep,
    vault: VaultDep,
    response: Response,
) -> SecretDTO:
    """Store a value, then tell the open questions that wait for it."""
    await find_working_project(session, caller, project_id)
    reply = replies.secret(await vault.write(session, project_id, name, body.value.get_secret_value()))
    # The workflows look for the value as soon as they are told.
    await session.commit()
    failed = await answer_waiting_questions(session, gateway, caller, project_id, name)
    if failed:
        response.headers[UNANSWERED_HEADER] = ", ".join(failed)
    return reply


@router.post("/projects/{project_id}/secrets/{name}/show")
async def show_secret(
    act: Annotated[Act, audited("secret.show")],
    project_id: ProjectId,
    name: Name,
    session: Session,
    caller: PersonWithKey,
    vault: VaultDep,
    response: Response,
) -> SecretShown:
    """The value of a generated secret, this once, for the owner by membership: an admin becomes no owner by being one.

    What a person stored is never shown; a second time is a conflict.
    """
    project = await find_project(session, caller, project_id, Right.OWN)
    if await role_in(session, caller, Subject.project(project.id)) is not MemberRole.OWNER:
        raise permanent(ErrorCode.NOT_ALLOWED, "Only the project's owner may see its generated secrets.")
    response.headers["Cache-Control"] = "no-store"
    await queries.mark_shown(session, project_id, name)
    value = await vault.reveal(session, project_id, name)
    return SecretShown(name=name, value=value or "")


@router.delete("/projects/{project_id}/secrets/{name}", status_code=204)
async def delete_secret(
    act: Annotated[Act, audited("secret.delete")],
    project_id: ProjectId,
    name: Name,
    session: Session,
    caller: Person,
    vault: VaultDep,
) -> None:
    """Delete a secret. Running services keep the value; the next deploy asks for it."""
    await find_project(session, caller, project_id, Right.ACT)
    if not await vault.delete(session, project_id, name):
        raise not_found("secret", name)
