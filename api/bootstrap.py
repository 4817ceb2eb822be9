"""What an installation needs before its first use: keys, the first admin and the local server. Repeatable."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import hash_secret, new_secret
from api.database import make_engine, make_sessions
from api.tables import CredentialRow, ServerRow, UserRow
from contracts.base import utc_now
from contracts.states import CredentialKind, Role, ServerKind, ServerStatus, UserState
from runtime import keyring, private_files
from runtime.settings import Settings

LOCAL_SERVER = "local"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Bootstrapped:
    """Where the keys are."""

    admin_user_id: int
    admin_key_file: Path
    platform_key_file: Path


async def bootstrap(settings: Settings, database_url: str) -> Bootstrapped:
    """Make what is missing: key files (mode 0600), the first admin with that key, and the server `local`.

    The schema must be there. A second call changes nothing, except that the local server takes the settings' address
    and range of ports, and a key file that was replaced by hand is registered. Raises KEY_FILE_UNSAFE.
    """
    keyring.create_if_absent(settings.vault_key_file)
    keyring.create_if_absent(settings.codec_key_file)
    private_files.create(settings.api_service_key_file, new_secret("platform"))
    private_files.create(settings.bot_key_file, new_secret("bot"))
    admin_key_file = settings.home / "keys" / "admin.key"
    private_files.create(admin_key_file, new_secret("user"))
    engine = make_engine(database_url)
    try:
        async with make_sessions(engine).begin() as session:
            await _ensure_admin(session, settings.admin_user_id, private_files.read(admin_key_file).strip())
            await _ensure_local_server(session, settings)
    finally:
        await engine.dispose()
    return Bootstrapped(settings.admin_user_id, admin_key_file, settings.api_service_key_file)


async def _ensure_admin(session: AsyncSession, user_id: int, key: str) -> None:
    """The first admin with that key, unless somebody has taken either away: a start never gives it back.

    The user is made an admin where nobody else is one who can come in, so that an installation is never without. A file
    with a key that was never registered is somebody's who may write to `keys/`, and is registered.
    """
    user = insert(UserRow).values(
        user_id=user_id, role=Role.ADMIN.value, name="admin", state=UserState.ACTIVE.value, created_at=utc_now()
    )
    await session.execute(user.on_conflict_do_nothing())
    is_admin = (col(UserRow.role) == Role.ADMIN.value) & (col(UserRow.state) == UserState.ACTIVE.value)
    admins = set(await session.scalars(select(col(UserRow.user_id)).where(is_admin)))
    if not admins:
        row = await session.get_one(UserRow, user_id, populate_existing=True)
        row.role, row.state = Role.ADMIN.value, UserState.ACTIVE.value
    if admins and user_id not in admins:
        log.warning(
            "admin.key was not given to this user, who is no administrator; see `orchestrator user role`",
            user_id=user_id,
        )
    else:
        await _register_key(session, user_id, key)


async def _register_key(session: AsyncSession, user_id: int, key: str) -> None:
    row = insert(CredentialRow).values(
        id=f"key-{uuid4().hex[:16]}",
        kind=CredentialKind.KEY.value,
        secret_hash=hash_secret(key),
        user_id=user_id,
        name="admin.key",
        created_at=utc_now(),
    )
    # With another admin id in the settings, the same key file becomes that admin's. One that was ended stays ended.
    lives = col(CredentialRow.ended_at).is_(None)
    statement = row.on_conflict_do_update(index_elements=["secret_hash"], set_={"user_id": user_id}, where=lives)
    await session.execute(statement)


async def _ensure_local_server(session: AsyncSession, settings: Settings) -> None:
    address: dict[str, object] = {
        "public_ip": settings.public_host,
        "port_from": settings.service_port_min,
        "port_to": settings.service_port_max,
    }
    if settings.server is not None:
        # The settings name another server, so nothing is deployed to this machine.
        address["status"] = ServerStatus.MAINTENANCE.value
    row = insert(ServerRow).values(
        handle=LOCAL_SERVER,
        kind=ServerKind.MACHINE.value,
        ssh_host="",
        ssh_port=0,
        ssh_user="",
        host_key="",
        ram_mb=0,
        disk_mb=0,
        created_at=utc_now(),
        **{"status": ServerStatus.READY.value, **address},
    )
    await session.execute(row.on_conflict_do_update(index_elements=["handle"], set_=address))
