"""Releases as the API shows them."""

from api.tables import ReleaseRow
from contracts.nouns import DeploymentDTO
from contracts.rollback import RETURNABLE


def release(row: ReleaseRow) -> DeploymentDTO:
    known = DeploymentDTO.model_validate(row.model_dump(exclude={"served", "kept", "moved_by"}))
    return known.model_copy(update={"can_return": row.kept and known.state in RETURNABLE})
