"""Releases as the API shows them."""

from api.tables import ReleaseRow
from contracts.nouns import DeploymentDTO


def release(row: ReleaseRow) -> DeploymentDTO:
    return DeploymentDTO.model_validate(row.model_dump(exclude={"served"}))
