"""Servers, their incidents and ports as the API shows them."""

from collections.abc import Sequence

from api.tables import IncidentRow, PortAllocationRow, ServerRow
from contracts.nouns import IncidentDTO, PortAllocationDTO, ServerDTO
from contracts.steps import ServicePort


def server(row: ServerRow) -> ServerDTO:
    return ServerDTO.model_validate(row.model_dump())


def incident(row: IncidentRow) -> IncidentDTO:
    return IncidentDTO.model_validate(row.model_dump())


def allocation(server: ServerRow, rows: Sequence[PortAllocationRow]) -> PortAllocationDTO:
    """The ports of one project, which are all on one server."""
    return PortAllocationDTO(
        project_id=rows[0].project_id,
        server_handle=server.handle,
        server_ip=server.public_ip,
        ports=[ServicePort(service=row.service, port=row.port) for row in sorted(rows, key=lambda row: row.port)],
    )
