"""Credentials as the API shows them: never their hash."""

from api.tables import CredentialRow
from contracts.access import CredentialDTO


def credential(row: CredentialRow) -> CredentialDTO:
    return CredentialDTO.model_validate(row.model_dump(exclude={"secret_hash"}))
