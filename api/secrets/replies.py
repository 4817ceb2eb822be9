"""Secrets as the API shows them: without their values."""

from collections.abc import Sequence

from api.model_tables import PlatformSecretRow
from api.tables import SecretRow
from contracts import ids
from contracts.nouns import PlatformSecretDTO, PlatformSecretList, SecretDTO


def secret(row: SecretRow) -> SecretDTO:
    return SecretDTO.model_validate(
        {
            "name": row.name,
            "ref": ids.secret_ref(row.project_id, row.name),
            "source": row.source,
            "updated_at": row.updated_at,
            "shown_at": row.shown_at,
        }
    )


def platform_secrets(rows: Sequence[PlatformSecretRow]) -> PlatformSecretList:
    items = [PlatformSecretDTO(name=row.name, changed_by=row.changed_by, updated_at=row.updated_at) for row in rows]
    return PlatformSecretList(items=items)
