"""The installation's secrets, such as keys for models: for administrators, and nobody reads a value back."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.audit.trail import Act, audited
from api.auth import Admin
from api.database import Session
from api.problems import not_found, permanent
from api.secrets import queries, replies
from api.vault import VaultDep
from contracts.errors import ErrorCode
from contracts.nouns import PlatformSecretList, SecretWrite
from contracts.project_spec import SecretName

router = APIRouter(tags=["secrets"])

KNOWN = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "TIME4VPS_USERNAME", "TIME4VPS_PASSWORD")
Name = Annotated[SecretName, Path()]


@router.get("/platform-secrets")
async def list_platform_secrets(session: Session, caller: Admin) -> PlatformSecretList:
    """Names, never values."""
    return replies.platform_secrets(await queries.list_of_platform(session))


@router.put("/platform-secrets/{name}")
async def set_platform_secret(
    act: Annotated[Act, audited("platform_secret.set")],
    name: Name,
    body: SecretWrite,
    session: Session,
    caller: Admin,
    vault: VaultDep,
) -> PlatformSecretList:
    """Store a key for models, which the model proxy uses within seconds, or the login of a provider of machines, which
    the Temporal workers of `infra` use. Nobody else gets it."""
    if name not in KNOWN:
        raise permanent(ErrorCode.INVALID_INPUT, f"The platform uses no secret {name}. It uses {' and '.join(KNOWN)}.")
    await vault.write_platform(session, name, body.value.get_secret_value(), caller.user_id)
    return replies.platform_secrets(await queries.list_of_platform(session))


@router.delete("/platform-secrets/{name}", status_code=204)
async def delete_platform_secret(
    act: Annotated[Act, audited("platform_secret.delete")], name: Name, session: Session, caller: Admin
) -> None:
    """Delete a secret of the installation."""
    if not await queries.delete_of_platform(session, name):
        raise not_found("secret", name)
