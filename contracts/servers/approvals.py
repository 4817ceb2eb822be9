"""What a person allows to be done to a server, and for which plan.

An approval is for one act, on one server, with exactly this plan. It is used once, by one order; the same order may
come again. A server that has changed since makes it stale.
"""

import hashlib
import json

from pydantic import AwareDatetime, Field

from contracts.base import Actor, Contract, Identifier, Page, UserId, YesNo
from contracts.states import ApprovalState, ProviderKind, ServerAct

APPROVAL_TTL_S = 86_400
"""For how long an approval can be used, in seconds: after a day nobody remembers exactly what they have allowed."""


class ServerPlan(Contract):
    """What is to be done, and every fact that a person decides by. `projects` are the ids of those that live there.

    `image` is what is to be installed, empty for what the provider has now. `host_key` is the SHA-256 of the pinned
    keys.
    """

    act: ServerAct
    server_handle: Identifier
    provider: ProviderKind
    machine_id: str = ""
    public_ip: str
    host_key: str = ""
    image: str = Field(default="", max_length=200)
    price: str = ""
    projects: list[Identifier] = Field(default_factory=list, max_length=10_000)

    @property
    def hash(self) -> str:
        """The same for the same facts, whoever writes them down."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


class ApprovalRequest(Contract):
    """The caller chooses `approval_id`: a repeated request is the same one."""

    approval_id: Identifier
    act: ServerAct
    image: str = Field(default="", max_length=200)


class ApprovalDecision(Contract):
    """`plan_hash` is that of the plan that the person has seen."""

    approved: YesNo
    plan_hash: str = Field(min_length=64, max_length=64)


class RecordedDecision(ApprovalDecision):
    """Platform only: what a person has answered to a workflow that asked."""

    actor: Actor


class ApprovalDTO(Contract):
    """`used_by` is the order that it was used for."""

    id: Identifier
    state: ApprovalState
    plan: ServerPlan
    plan_hash: str
    requested_by: UserId | None = None
    requested_at: AwareDatetime
    decided_by: UserId | None = None
    decided_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    used_by: str | None = None
    used_at: AwareDatetime | None = None


class ApprovalList(Page):
    items: list[ApprovalDTO]


class ServerRemoval(Contract):
    """With which approval the platform is to forget a server."""

    approval_id: Identifier
    plan_hash: str = Field(min_length=64, max_length=64)


class OrderAdmitted(Contract):
    """Platform only: the order may go out."""

    server_handle: Identifier
    order_id: Identifier
