"""What the platform's own processes do with servers: keep what opens them, pin their keys, note what providers say."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.audit.trail import Act, audited
from api.auth import platform_only
from api.database import Session
from api.problems import not_found, permanent
from api.servers import approvals, checks, queries, replies
from api.vault import VaultDep
from contracts.base import Identifier
from contracts.errors import ErrorCode
from contracts.nouns import ServerDTO
from contracts.project_spec import SecretName
from contracts.servers.approvals import ApprovalDTO, ApprovalRequest, OrderAdmitted, RecordedDecision
from contracts.servers.providers import ProviderMachine, ProviderOrder
from contracts.servers.registry import (
    HostKey,
    ProviderLoginValue,
    ServerCredentialDTO,
    ServerCredentialValue,
    ServerCredentialWrite,
)
from contracts.states import ProviderKind

router = APIRouter(prefix="/internal", tags=["internal"], dependencies=[Depends(platform_only)])

Handle = Annotated[Identifier, Path()]
Name = Annotated[SecretName, Path()]
LOGINS = {ProviderKind.TIME4VPS: ("TIME4VPS_USERNAME", "TIME4VPS_PASSWORD")}
"""Names of the secrets of the installation that open an account at a provider."""


@router.put("/servers/{handle}/credentials/{name}")
async def keep_credential(
    act: Annotated[Act, audited("server_credential.keep")],
    handle: Handle,
    name: Name,
    body: ServerCredentialWrite,
    session: Session,
    vault: VaultDep,
) -> ServerCredentialDTO:
    """Keep what a provider has made up; a repetition stores the same again."""
    await queries.locked(session, handle)
    written = await vault.write_of_server(session, handle, name, body.value.get_secret_value())
    return replies.credential(written)


@router.post("/servers/{handle}/credentials/{name}/reveal")
async def reveal_credential(
    act: Annotated[Act, audited("server_credential.reveal")],
    handle: Handle,
    name: Name,
    session: Session,
    vault: VaultDep,
) -> ServerCredentialValue:
    """What opens the server, for whoever logs in to it now."""
    queries.refuse_reserved(await queries.locked(session, handle))
    value = await vault.reveal_of_server(session, handle, name)
    if value is None:
        raise permanent(
            ErrorCode.SECRET_MISSING,
            f"The server {handle!r} has no {name}. Store it: orchestrator server credential {handle} {name}",
        )
    return ServerCredentialValue(value=value)


@router.post("/servers/{handle}/orders")
async def admit_order(
    act: Annotated[Act, audited("server.order")], handle: Handle, body: ProviderOrder, session: Session
) -> OrderAdmitted:
    """Let an order out to the server's provider, and use up the approval that it needs."""
    act.tell(kind=body.kind, order=body.order_id, approval=body.approval_id or None, plan=body.plan_hash or None)
    await approvals.admit(session, handle, body)
    return OrderAdmitted(server_handle=handle, order_id=body.order_id)


@router.post("/servers/{handle}/approvals")
async def request_approval(
    act: Annotated[Act, audited("server_approval.request")], handle: Handle, body: ApprovalRequest, session: Session
) -> ApprovalDTO:
    """Ask for something that loses data or a machine, for a workflow that asks a person next."""
    act.tell(approval=body.approval_id, act=body.act)
    return replies.approval(await approvals.request(session, handle, body, None))


@router.post("/servers/{handle}/approvals/{approval_id}/decision")
async def record_decision(
    act: Annotated[Act, audited("server_approval.record")],
    handle: Handle,
    approval_id: Annotated[Identifier, Path()],
    body: RecordedDecision,
    session: Session,
) -> ApprovalDTO:
    """What a person has answered to a workflow. It counts if they are an administrator."""
    act.tell(approved=body.approved, plan=body.plan_hash, by=body.actor.user_id)
    return replies.approval(await approvals.record(session, handle, approval_id, body))


@router.put("/servers/{handle}/host-key")
async def pin_host_key(
    act: Annotated[Act, audited("server.pin_host_key")], handle: Handle, body: HostKey, session: Session
) -> ServerDTO:
    """The keys of a machine at first contact. Later, others than the known ones are refused."""
    return replies.server(await queries.pin_host_key(session, handle, checks.host_keys(body.host_key)))


@router.put("/servers/{handle}/machine")
async def record_machine(handle: Handle, body: ProviderMachine, session: Session) -> ServerDTO:
    """What the provider says of the server's machine now."""
    if body.ref.server_handle != handle:
        raise not_found("server", handle)
    return replies.server(await queries.record_machine(session, body))


@router.post("/providers/{provider}/login")
async def reveal_login(
    act: Annotated[Act, audited("provider_login.reveal")],
    provider: Annotated[ProviderKind, Path()],
    session: Session,
    vault: VaultDep,
) -> ProviderLoginValue:
    """What opens the installation's account at a provider."""
    names = LOGINS.get(provider)
    if names is None:
        raise permanent(ErrorCode.PROVIDER_CANNOT, f"The provider {provider.value!r} has no accounts.")
    values = [await vault.reveal_platform(session, name) for name in names]
    if values[0] is None or values[1] is None:
        raise permanent(
            ErrorCode.SECRET_MISSING,
            f"The platform has no login for {provider.value}. Store it: orchestrator secret set --platform {names[0]}, "
            f"and {names[1]}.",
        )
    return ProviderLoginValue(username=values[0], password=values[1])
