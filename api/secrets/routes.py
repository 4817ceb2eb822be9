"""A project's secrets: values go in and never come out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from api.audit.trail import Act, audited
from api.auth import Caller, Person, agents_may
from api.database import Session
from api.gateway import GatewayDep
from api.problems import not_found
from api.secrets import queries, replies
from api.secrets.answering import answer_waiting_questions
from api.vault import VaultDep
from api.visibility import Right, find_project, find_working_project
from contracts.base import Identifier
from contracts.nouns import SecretDTO, SecretList, SecretWrite
from contracts.project_spec import SecretName

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
