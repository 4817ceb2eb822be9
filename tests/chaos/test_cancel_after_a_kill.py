"""A task is cancelled while its Temporal worker is dead: what that had started is ended, and then it says so."""

import asyncio

import pytest

from tests.chaos.conftest import SENTENCE
from tests.soak.campaign import DEPLOY, TESTS, TURN, in_run
from tests.support.eventually import eventually
from tests.support.kills.judging import Delivery, Evidence
from tests.support.kills.killing import kill
from tests.support.kills.run import deliver, end_of
from tests.support.kills.traces_in_containers import ContainerTraces

pytestmark = pytest.mark.timeout(900)

CANCELLED_WITHIN_S = 60


@pytest.mark.parametrize(
    ("phase", "wish"),
    [
        pytest.param(TURN, "[agent:hang]", id="the agent's turn"),
        pytest.param(TESTS, "", id="the Tester", marks=pytest.mark.deep),
        pytest.param(DEPLOY, "", id="the deploy", marks=pytest.mark.deep),
    ],
)
async def test_a_cancel_reaches_what_a_killed_worker_had_started(
    containers: ContainerTraces, unkilled_in_containers: Evidence, phase: int, wish: str
) -> None:
    stack = containers.stack
    delivery = await deliver(stack, f"{SENTENCE} {wish}".strip())
    await in_run(phase)(containers, delivery)
    killing = asyncio.create_task(kill(stack, "workers"))
    await stack.ok("task", "cancel", delivery.task_id)
    task = await end_of(stack, delivery.task_id, CANCELLED_WITHIN_S)
    await killing
    assert task["state"] == "cancelled", task
    step = delivery.deploy if phase == DEPLOY else delivery.engineering
    assert (await stack.task(step))["state"] == "cancelled"

    def nothing_left() -> bool:
        assert left(containers, delivery, phase) == ()
        return True

    _: bool = await eventually(nothing_left, 5, interval=0.5, message="nothing left of the cancelled work")


def left(traces: ContainerTraces, delivery: Delivery, phase: int) -> tuple[object, ...]:
    """What should have gone. A release whose image was finished stays, unserved, for the next deploy of that commit."""
    deployed = traces.deployed(delivery)
    found: list[object] = [*traces.leftovers(delivery), *deployed.orphans]
    found += [f"{deployed.services} services"] if deployed.services else []
    may_stay = 1 if phase == DEPLOY else 0
    if len(deployed.release_dirs) != deployed.release_images or deployed.release_images > may_stay:
        found += [*deployed.release_dirs, f"{deployed.release_images} images"]
    return tuple(found)
