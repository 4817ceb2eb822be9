"""Machines as their providers know them, and what is ordered there.

A provider does what was ordered in its own time. An order is answered with an action, and a workflow asks by a timer
how far that is. No password crosses a boundary: `credential` is the name under which the platform keeps it.
"""

from typing import Literal

from pydantic import AwareDatetime, Field

from contracts.base import Contract, Identifier, ShortText
from contracts.states import ProviderActionKind, ProviderActionState, ProviderKind

ROOT_PASSWORD = "ROOT_PASSWORD"
"""The credential of a server that its provider has made up."""

ADDRESS = 100
"""The most characters of an address."""


class MachineRef(Contract):
    """A machine of a provider. `server_handle` is ours, `machine_id` the provider's; empty: the same as ours."""

    provider: ProviderKind
    server_handle: Identifier
    machine_id: Identifier | Literal[""] = ""

    @property
    def id_there(self) -> str:
        """The machine's id at its provider."""
        return self.machine_id or self.server_handle


class ProviderMachine(Contract):
    """What a provider says of a machine now. Memory and disk in MB, 0 where it does not say.

    `price` is in the provider's words, such as `9.99 monthly`; empty where nothing is paid. `busy_with` is what the
    provider does with the machine now, in its own word. `last_action_at` is when the newest action began, by the
    provider's clock: an order that comes after it is answered with no older action.
    """

    ref: MachineRef
    name: str = Field(default="", max_length=255)
    public_ip: str = Field(default="", max_length=ADDRESS)
    is_active: bool = True
    cpu_cores: int = 0
    ram_mb: int = 0
    disk_mb: int = 0
    image: str = Field(default="", max_length=200)
    price: str = Field(default="", max_length=100)
    busy_with: str = Field(default="", max_length=100)
    last_action_at: AwareDatetime | None = None
    can: list[ProviderActionKind] = Field(default_factory=list)


class MachineList(Contract):
    machines: list[ProviderMachine] = Field(default_factory=list, max_length=10_000)


class ProviderList(Contract):
    """Which provider is asked for its machines."""

    provider: ProviderKind


class ProviderOrder(Contract):
    """What a provider is to do. The same `order_id` is the same order: a repeated one has one effect.

    `approval_id` and `plan_hash` say what a person has allowed. Without them nothing that loses data is ordered.
    `image` is what to install, in the provider's word, and empty for its present one. `ssh_key` is the public key that
    may come in then. `price` is what the plan says; another one today refuses the order. `after` is the machine's
    `last_action_at` when the order was made up, None if it had none: what began later is this order's, also if the
    answer was an error.
    """

    ref: MachineRef
    kind: ProviderActionKind
    order_id: Identifier
    approval_id: str = Field(default="", max_length=100)
    plan_hash: str = Field(default="", max_length=100)
    image: str = Field(default="", max_length=200)
    ssh_key: str = Field(default="", max_length=4_000)
    price: str | None = Field(default=None, max_length=100)
    after: AwareDatetime | None = None


class ActionPatience(Contract):
    """How often a workflow asks how far an action is, and for how long, both in seconds."""

    every_s: float = Field(default=15.0, gt=0, le=3_600)
    limit_s: float = Field(default=900.0, gt=0, le=86_400)


class ProviderAction(Contract):
    """Something that a provider does. `action_id` is its own word for it, and means something to its adapter only."""

    ref: MachineRef
    kind: ProviderActionKind
    order_id: Identifier
    action_id: str = Field(min_length=1, max_length=200)


class ProviderProgress(Contract):
    """How far an action is. `credential` names what the platform keeps since; None where none came with it.

    A finished reinstallation without a credential is not yet a machine to log in to: a password is ordered for it.
    """

    action: ProviderAction
    state: ProviderActionState
    detail: str = Field(default="", max_length=500)
    credential: ShortText | None = None
