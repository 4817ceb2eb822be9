"""Entries of the audit trail as the API shows them."""

from api.tables import AuditRow
from contracts.access import AuditEntry


def entry(row: AuditRow) -> AuditEntry:
    return AuditEntry.model_validate(row.model_dump())
