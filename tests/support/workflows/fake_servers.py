"""What opens servers, and the gate of their orders, in memory. `tests.integration.activities.providers` has a test that
holds for it and for the API alike."""

from dataclasses import dataclass, field

from contracts.errors import ErrorCode, OrchestratorError
from contracts.servers.providers import ProviderOrder


@dataclass
class FakeServerCredentials:
    """`approved` are the ids of approvals that a person has given; each is good for one order, and for it again."""

    approved: set[str] = field(default_factory=set)
    used: dict[str, str] = field(default_factory=dict)
    kept: dict[tuple[str, str], str] = field(default_factory=dict)
    away: int = 0
    """How many times it does not answer."""

    async def keep_credential(self, handle: str, name: str, value: str) -> None:
        if self.away > 0:
            self.away -= 1
            raise OrchestratorError.transient(ErrorCode.API_UNREACHABLE, "The API does not answer.")
        self.kept[handle, name] = value

    async def admit(self, order: ProviderOrder) -> None:
        if not order.kind.loses_data:
            return
        if order.approval_id not in self.approved:
            raise OrchestratorError(ErrorCode.APPROVAL_MISSING, "Nobody has approved that.")
        if self.used.setdefault(order.approval_id, order.order_id) != order.order_id:
            raise OrchestratorError(ErrorCode.APPROVAL_STALE, "It was used already.")
