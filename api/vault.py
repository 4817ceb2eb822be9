"""Secrets at rest: each value under its own AES-256-GCM data key, each data key under the vault's master key."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Depends
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.dependencies import part
from api.model_tables import PlatformSecretRow
from api.problems import permanent
from api.server_tables import ServerCredentialRow
from api.tables import SecretRow
from contracts.base import utc_now
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from runtime.keyring import KeyRing

_KEY_BITS = 256
_NONCE_BYTES = 12
_GENERATED_BYTES = 32
_MAX_VALUE = 65_536
_PLATFORM = "@platform"
"""In place of a project's id, and no project can have it."""
_SERVER = "@server:"
"""Before a server's handle, in the same place."""
_REF = re.compile(r"secret://projects/([A-Za-z0-9][A-Za-z0-9._-]{0,99})/([A-Z_][A-Z0-9_]{0,99})\Z")


@dataclass(frozen=True)
class Sealed:
    """One encrypted value, as the database holds it."""

    key_id: str
    wrapped_key: bytes
    ciphertext: bytes


class Vault:
    """Stores and reads values. Nothing here logs, and no error holds a value."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring

    def seal(self, project_id: str, name: str, value: str) -> Sealed:
        """Encrypt for exactly this project and name: the ciphertext opens nowhere else."""
        associated = _associated(project_id, name)
        data_key = AESGCM.generate_key(_KEY_BITS)
        key_id, master = self._keyring.active
        return Sealed(
            key_id=key_id,
            wrapped_key=_encrypt(master, data_key, associated),
            ciphertext=_encrypt(data_key, value.encode(), associated),
        )

    def open(self, project_id: str, name: str, sealed: Sealed) -> str:
        """The value; raises PAYLOAD_KEY_UNKNOWN without its master key, PAYLOAD_TAMPERED when it was changed."""
        associated = _associated(project_id, name)
        data_key = _decrypt(self._keyring.key(sealed.key_id), sealed.wrapped_key, associated)
        return _decrypt(data_key, sealed.ciphertext, associated).decode()

    async def write(self, session: AsyncSession, project_id: str, name: str, value: str) -> SecretRow:
        """Store what a person gave; it replaces what was there. Raises INVALID_INPUT for its length."""
        _check_length(name, value)
        sealed = self.seal(project_id, name, value)
        row = _row(project_id, name, "user", sealed)
        statement = insert(SecretRow).values(**row)
        statement = statement.on_conflict_do_update(
            index_elements=["project_id", "name"], set_={key: row[key] for key in row if key not in _IDENTITY}
        )
        # populate_existing: an identity that this session has already read would keep its old columns otherwise.
        written = await session.scalars(statement.returning(SecretRow), execution_options={"populate_existing": True})
        return written.one()

    async def generate(self, session: AsyncSession, project_id: str, names: Sequence[str]) -> None:
        """Give each name without a value a random one; an existing value stays, also with concurrent requests."""
        # In the same order everywhere, so that two concurrent requests never wait for each other.
        for name in sorted(set(names)):
            sealed = self.seal(project_id, name, secrets.token_urlsafe(_GENERATED_BYTES))
            statement = insert(SecretRow).values(**_row(project_id, name, "generated", sealed))
            await session.execute(statement.on_conflict_do_nothing(index_elements=["project_id", "name"]))

    async def reveal(self, session: AsyncSession, project_id: str, name: str) -> str | None:
        """The value, or None when there is none."""
        row = await session.get(SecretRow, (project_id, name))
        return None if row is None else self.open(project_id, name, _sealed(row))

    async def reveal_all(self, session: AsyncSession, refs: Sequence[str]) -> dict[str, str]:
        """The values by reference; all of them, or SECRET_MISSING with the names that have none."""
        values: dict[str, str] = {}
        missing = []
        for ref in refs:
            match = _REF.match(ref)
            if match is None:
                raise permanent(ErrorCode.INVALID_INPUT, "A reference looks like secret://projects/<project>/<NAME>.")
            value = await self.reveal(session, match[1], match[2])
            if value is None:
                missing.append(match[2])
            else:
                values[ref] = value
        if missing:
            raise permanent(
                ErrorCode.SECRET_MISSING,
                f"These secrets have no value: {', '.join(missing)}. Set them with `orchestrator secret set`.",
            )
        return values

    async def delete(self, session: AsyncSession, project_id: str, name: str) -> bool:
        """Whether there was a value."""
        statement = delete(SecretRow).where(col(SecretRow.project_id) == project_id, col(SecretRow.name) == name)
        return len((await session.scalars(statement.returning(col(SecretRow.name)))).all()) > 0

    async def rewrap(self, session: AsyncSession) -> int:
        """Put every data key under the active master key; the values' ciphertexts stay. Returns how many changed."""
        active, _ = self._keyring.active
        rows = await session.scalars(select(SecretRow).where(col(SecretRow.key_id) != active).with_for_update())
        changed = [self._wrap_again(row, row.project_id) for row in rows]
        statement = select(PlatformSecretRow).where(col(PlatformSecretRow.key_id) != active).with_for_update()
        changed += [self._wrap_again(row, _PLATFORM) for row in await session.scalars(statement)]
        of_servers = select(ServerCredentialRow).where(col(ServerCredentialRow.key_id) != active).with_for_update()
        for row in await session.scalars(of_servers):
            changed.append(self._wrap_again(row, f"{_SERVER}{row.server_handle}"))
        return len(changed)

    def _wrap_again(self, row: SecretRow | PlatformSecretRow | ServerCredentialRow, project_id: str) -> str:
        active, master = self._keyring.active
        associated = _associated(project_id, row.name)
        data_key = _decrypt(self._keyring.key(row.key_id), row.wrapped_key, associated)
        row.wrapped_key, row.key_id = _encrypt(master, data_key, associated), active
        return row.name

    async def write_platform(self, session: AsyncSession, name: str, value: str, user_id: int) -> None:
        """Store a secret of the installation; it replaces what was there. Raises INVALID_INPUT for its length."""
        _check_length(name, value)
        sealed = self.seal(_PLATFORM, name, value)
        row: dict[str, object] = {
            "key_id": sealed.key_id,
            "wrapped_key": sealed.wrapped_key,
            "ciphertext": sealed.ciphertext,
            "changed_by": user_id,
            "updated_at": utc_now(),
        }
        statement = insert(PlatformSecretRow).values(name=name, **row)
        await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))

    async def reveal_platform(self, session: AsyncSession, name: str) -> str | None:
        """The value of a secret of the installation, or None when there is none."""
        row = await session.get(PlatformSecretRow, name, populate_existing=True)
        if row is None:
            return None
        return self.open(_PLATFORM, name, Sealed(row.key_id, row.wrapped_key, row.ciphertext))

    async def write_of_server(self, session: AsyncSession, handle: str, name: str, value: str) -> ServerCredentialRow:
        """Store what opens a server; it replaces what was there. Raises INVALID_INPUT for its length."""
        _check_length(name, value)
        sealed = self.seal(f"{_SERVER}{handle}", name, value)
        row: dict[str, object] = {
            "key_id": sealed.key_id,
            "wrapped_key": sealed.wrapped_key,
            "ciphertext": sealed.ciphertext,
            "updated_at": utc_now(),
        }
        statement = insert(ServerCredentialRow).values(server_handle=handle, name=name, **row)
        statement = statement.on_conflict_do_update(index_elements=["server_handle", "name"], set_=row)
        written = await session.scalars(
            statement.returning(ServerCredentialRow), execution_options={"populate_existing": True}
        )
        return written.one()

    async def reveal_of_server(self, session: AsyncSession, handle: str, name: str) -> str | None:
        """The value of what opens a server, or None when there is none."""
        row = await session.get(ServerCredentialRow, (handle, name), populate_existing=True)
        if row is None:
            return None
        return self.open(f"{_SERVER}{handle}", name, Sealed(row.key_id, row.wrapped_key, row.ciphertext))

    def derive(self, text: str, key_id: str | None = None) -> tuple[str, str]:
        """The id of a master key (the active one unless given) and what follows from it and from `text`, in hex."""
        key_id, master = self._keyring.active if key_id is None else (key_id, self._keyring.key(key_id))
        return key_id, hmac.new(master, f"derived/{text}".encode(), hashlib.sha256).hexdigest()


VaultDep = Annotated[Vault, Depends(part("vault"))]


async def names_with_value(session: AsyncSession, project_id: str) -> set[str]:
    """Names of the project's secrets that have a value."""
    names = await session.scalars(select(col(SecretRow.name)).where(col(SecretRow.project_id) == project_id))
    return set(names)


async def platform_secret_names(session: AsyncSession) -> set[str]:
    """Names of the installation's secrets."""
    return set(await session.scalars(select(col(PlatformSecretRow.name))))


_IDENTITY = {"project_id", "name"}


def _check_length(name: str, value: str) -> None:
    if not value or len(value) > _MAX_VALUE:
        raise permanent(ErrorCode.INVALID_INPUT, f"The value of {name} must have 1 to {_MAX_VALUE} characters.")


def _row(project_id: str, name: str, source: str, sealed: Sealed) -> dict[str, object]:
    return {
        "project_id": project_id,
        "name": name,
        "source": source,
        "key_id": sealed.key_id,
        "wrapped_key": sealed.wrapped_key,
        "ciphertext": sealed.ciphertext,
        "updated_at": utc_now(),
        "shown_at": None,
    }


def _sealed(row: SecretRow) -> Sealed:
    return Sealed(key_id=row.key_id, wrapped_key=row.wrapped_key, ciphertext=row.ciphertext)


def _associated(project_id: str, name: str) -> bytes:
    return f"{project_id}/{name}".encode()


def _encrypt(key: bytes, plain: bytes, associated: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def _decrypt(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated)
    except InvalidTag:
        raise OrchestratorError(
            ErrorCode.PAYLOAD_TAMPERED,
            "A stored secret cannot be decrypted: its row or the vault's key file was changed. Set the secret again, "
            "or restore the key file that belongs to this database.",
            error_class=ErrorClass.FATAL,
        ) from None
