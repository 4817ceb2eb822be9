"""One undisturbed delivery with each runtime, with which those under kills are compared."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.eventually import eventually
from tests.support.kills.judging import Evidence, judge
from tests.support.kills.run import deliver, end_of, gather_evidence
from tests.support.kills.traces import ProcessTraces, Traces, looking
from tests.support.kills.traces_in_containers import ContainerTraces
from tests.support.platform import Shared
from tests.support.services import engine
from tests.support.services.container_service import no_engine
from tests.support.stack import Stack, running_stack

SENTENCE = "A library with books: title, author, year:int"
FIRST_ENDS_WITHIN_S = 600
"""The first deploy to a new server installs the packages that all services start from."""


Around = Callable[[Path], AbstractAsyncContextManager[object]]
"""What is there before the platform of a home, and until after its end."""


@asynccontextmanager
async def platform(runtime: str, *, stop_services: bool = True, around: Around | None = None) -> AsyncIterator[Stack]:
    # Not below pytest's own directory: another pytest that starts meanwhile closes that for the database's user,
    # and the database is started again here.
    with TemporaryDirectory(prefix="chaos-") as directory, pytest.MonkeyPatch.context() as environment:
        environment.setenv("ORCHESTRATOR_RUNTIME", runtime)
        home = Path(directory) / "home"
        async with around(home) if around else nullcontext(), running_stack(home, stop_services=stop_services) as stack:
            yield stack
        await eventually(lambda: stack.processes() == [], 15, message="nothing of the platform left after `down`")


async def undisturbed(traces: Traces) -> Evidence:
    delivery = await deliver(traces.stack, SENTENCE)
    task = await end_of(traces.stack, delivery.task_id, FIRST_ENDS_WITHIN_S)
    assert task["state"] == "completed", task
    evidence = await gather_evidence(traces, delivery)
    assert (evidence.commits, evidence.turns, evidence.services) == (2, 1, 1), evidence
    assert judge(evidence, evidence, delivery.release) == []
    return evidence


@asynccontextmanager
async def container_platform(around: Around | None = None) -> AsyncIterator[ContainerTraces]:
    """A platform whose agents, tests and services are containers."""
    async with platform("docker", stop_services=False, around=around) as stack:
        traces = ContainerTraces(stack)
        with looking(traces.look):
            yield traces


@pytest.fixture(scope="session")
async def containers(shared: Shared) -> AsyncIterator[ContainerTraces]:
    """The platform that suites share, once no other test uses it or this machine's engine."""
    if (obstacle := no_engine()) is not None:
        pytest.skip(f"NOT TESTED: {obstacle}")
    await shared.stories.told()
    async with engine.alone():
        traces = ContainerTraces(shared.stack)
        with looking(traces.look):
            yield traces


@pytest.fixture(scope="session")
async def unkilled_in_containers(containers: ContainerTraces) -> Evidence:
    evidence = await undisturbed(containers)
    assert evidence.release_images == 1
    return evidence


@pytest.fixture(scope="session")
async def processes() -> AsyncIterator[ProcessTraces]:
    """A platform whose agents, tests and services are processes."""
    async with platform("process") as stack:
        traces = ProcessTraces(stack)
        with looking(traces.look):
            yield traces


@pytest.fixture(scope="session")
async def unkilled(processes: ProcessTraces) -> Evidence:
    return await undisturbed(processes)
