"""One machine that was provisioned by password, for all that only looks at it."""

from collections.abc import AsyncIterator

import pytest

from contracts.servers.provisioning import ProvisionStepResult, StepName
from tests.support.servers.bare import bare_server
from tests.support.servers.provisioned import Provisioned

FIRST_TASK = "task-first"


@pytest.fixture(scope="session")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provisioned]:
    """A bare one."""
    place = tmp_path_factory.mktemp("machine")
    async with bare_server(place) as server:
        yield Provisioned(server, place / "home", server.first)


@pytest.fixture(scope="session")
async def first_run(machine: Provisioned) -> dict[StepName, ProvisionStepResult]:
    """What provisioning it from nothing came to; from then on it is provisioned."""
    return await machine.all_steps(FIRST_TASK)
