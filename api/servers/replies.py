"""Servers, their incidents and ports as the API shows them."""

from collections.abc import Sequence

from api.server_tables import ServerApprovalRow, ServerCredentialRow
from api.tables import IncidentRow, PortAllocationRow, ServerRow
from contracts.nouns import IncidentDTO, PortAllocationDTO, ServerDTO
from contracts.servers.approvals import ApprovalDTO
from contracts.servers.registry import ServerCredentialDTO, ServerCredentialList
from contracts.steps import ServicePort


def server(row: ServerRow) -> ServerDTO:
    return ServerDTO.model_validate(row.model_dump(include=set(ServerDTO.model_fields)))


def credentials(rows: Sequence[ServerCredentialRow]) -> ServerCredentialList:
    return ServerCredentialList(items=[credential(row) for row in rows])


def credential(row: ServerCredentialRow) -> ServerCredentialDTO:
    return ServerCredentialDTO(server_handle=row.server_handle, name=row.name, updated_at=row.updated_at)


def approval(row: ServerApprovalRow) -> ApprovalDTO:
    return ApprovalDTO.model_validate(row.model_dump(include=set(ApprovalDTO.model_fields)))


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
