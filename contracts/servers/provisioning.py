"""Provisioning of a machine, step by step: a playbook each, an error code each."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from contracts.base import Contract, Identifier, Whole
from contracts.errors import ErrorCode

StepName = Literal["access", "base", "docker", "hardening", "monitoring", "front_door", "verify"]


@dataclass(frozen=True)
class ProvisionStep:
    """`playbook` is a file of `infra/playbooks/provision/`; `timeout_s` is for a slow machine with a slow mirror."""

    name: StepName
    playbook: str
    error_code: ErrorCode
    timeout_s: int


PROVISION_STEPS = (
    ProvisionStep("access", "access.yml", ErrorCode.PROVISION_ACCESS_FAILED, 600),
    ProvisionStep("base", "base.yml", ErrorCode.PROVISION_BASE_FAILED, 1800),
    ProvisionStep("docker", "docker.yml", ErrorCode.PROVISION_DOCKER_FAILED, 1800),
    ProvisionStep("hardening", "hardening.yml", ErrorCode.PROVISION_HARDENING_FAILED, 1200),
    ProvisionStep("monitoring", "monitoring.yml", ErrorCode.PROVISION_MONITORING_FAILED, 1200),
    ProvisionStep("front_door", "front_door.yml", ErrorCode.PROVISION_FRONT_DOOR_FAILED, 600),
    ProvisionStep("verify", "verify.yml", ErrorCode.PROVISION_VERIFY_FAILED, 300),
)
"""In their order. `access` logs in as whoever the provider made, all others as the platform's own user."""


class ProvisionSettings(Contract):
    """What differs from machine to machine. Nothing here is a template to Ansible: the patterns see to that.

    Services get public ports from `port_from` to `port_to`, which the firewall opens. `swap_mb` is the size in MB of a
    swap file for a machine that has no swap, `cache_valid_s` the age in seconds of its lists of packages after which
    they are fetched again.
    """

    hostname: str = Field(default="", max_length=63, pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$")
    time_zone: str = Field(default="Etc/UTC", max_length=60, pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$")
    port_from: Whole = Field(default=8000, ge=1024, le=65_535)
    port_to: Whole = Field(default=8999, ge=1024, le=65_535)
    swap_mb: Whole = Field(default=2048, ge=0, le=65_536)
    upgrade: bool = True
    cache_valid_s: Whole = Field(default=3600, ge=0, le=2_000_000_000)


class ProvisionStepRequest(Contract):
    """One step of one attempt: the same three of `task_id`, `attempt` and `step` are the same run of the playbook."""

    task_id: Identifier
    server_handle: Identifier
    step: StepName
    attempt: Whole = Field(default=1, ge=1, le=1000)
    settings: ProvisionSettings = Field(default_factory=ProvisionSettings)


class MachineFacts(Contract):
    """What a machine says of itself, for people. `checks`: is this sentence true; `not_checked`: what a container
    cannot have. Memory, swap and free disk in MB."""

    operating_system: str = Field(default="", max_length=100)
    kernel: str = Field(default="", max_length=100)
    architecture: str = Field(default="", max_length=40)
    hostname: str = Field(default="", max_length=255)
    time_zone: str = Field(default="", max_length=100)
    processors: int = 0
    memory_mb: int = 0
    swap_mb: int = 0
    disk_free_mb: int = 0
    engine: str = Field(default="", max_length=100)
    firewall: list[str] = Field(default_factory=list, max_length=200)
    checks: dict[str, bool] = Field(default_factory=dict, max_length=100)
    not_checked: list[str] = Field(default_factory=list, max_length=20)


class ProvisionStepResult(Contract):
    """`changed`: how many tasks changed something, 0 for a machine that was so already. `facts` are of `verify`."""

    changed: int = Field(ge=0)
    facts: MachineFacts | None = None
