"""Secrets as the API shows them: without their values."""

from api.tables import SecretRow
from contracts import ids
from contracts.nouns import SecretDTO


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
