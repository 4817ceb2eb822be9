"""Acceptance where no service can be run in a clean place: nothing is checked, which is said."""

from dataclasses import dataclass

from activities.ports import Follow
from contracts.acceptance import AcceptanceRequest, AcceptanceResult
from contracts.criteria import Proof
from contracts.states import CriterionState


@dataclass(frozen=True)
class WithoutAcceptance:
    """`reason` is what people read of each criterion."""

    reason: str

    async def describe(self, request: AcceptanceRequest, follow: Follow) -> str:
        """There is no running service."""
        return ""

    async def accept(self, request: AcceptanceRequest, follow: Follow) -> AcceptanceResult:
        """Every criterion is not checkable."""
        proof = Proof(reference="acceptance", text=self.reason)
        unknown = {"state": CriterionState.NOT_CHECKABLE, "proof": proof}
        return AcceptanceResult(
            commit=request.commit, criteria=[one.model_copy(update=unknown) for one in request.criteria]
        )

    async def stop(self, request: AcceptanceRequest) -> None:
        """Nothing runs."""
