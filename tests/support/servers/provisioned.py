"""Provisioning of a bare machine as the platform does it, and what is on the machine then."""

from dataclasses import dataclass, field
from pathlib import Path

import testinfra
from testinfra.host import Host

from activities.adapters.playbooks.detached import DetachedReleases
from activities.adapters.playbooks.provisioning.steps import PlaybookProvisioning
from activities.adapters.runs.supervisor import Supervisor
from activities.adapters.servers.first_login import FirstLogin
from activities.adapters.servers.remote_shell import ServerAccess, ssh_options
from contracts.servers.provisioning import (
    PROVISION_STEPS,
    ProvisionSettings,
    ProvisionStepRequest,
    ProvisionStepResult,
    StepName,
)
from tests.support.servers.bare import BareServer
from tests.support.services.sample_service import Recorder

STEPS: tuple[StepName, ...] = tuple(step.name for step in PROVISION_STEPS)
# The lists of packages in the image are as old as the image.
SETTINGS = ProvisionSettings(
    time_zone="Europe/Berlin", port_from=8000, port_to=8019, cache_valid_s=2_000_000_000, upgrade=False
)


@dataclass
class Provisioned:
    """`home` is a state directory of the platform. `recorder` remembers what people saw of the last step."""

    server: BareServer
    home: Path
    first: FirstLogin | None
    settings: ProvisionSettings = SETTINGS
    recorder: Recorder = field(default_factory=Recorder)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.home / "runs")
        self.steps = PlaybookProvisioning(
            self.home, DetachedReleases(self.home, self.supervisor), self._access, self._first
        )

    async def _access(self, handle: str) -> ServerAccess:
        return self.server.access

    async def _first(self, handle: str) -> FirstLogin | None:
        return self.first

    def request(self, step: StepName, task: str) -> ProvisionStepRequest:
        return ProvisionStepRequest(task_id=task, server_handle=self.server.name, step=step, settings=self.settings)

    async def step(self, step: StepName, task: str) -> ProvisionStepResult:
        self.recorder = Recorder()
        return await self.steps.carry_out(self.request(step, task), self.recorder.follow)

    async def all_steps(self, task: str) -> dict[StepName, ProvisionStepResult]:
        return {step: await self.step(step, task) for step in STEPS}

    def seen(self) -> Host:
        """The machine through the eyes of testinfra, over SSH as the platform's user, who becomes root."""
        access = self.server.access
        options = " ".join(ssh_options(access.known_hosts_file))
        return testinfra.get_host(
            f"ssh://{access.user}@{access.host}:{access.port}",
            ssh_identity_file=str(access.key_file),
            ssh_extra_args=options,
            sudo=True,
        )
