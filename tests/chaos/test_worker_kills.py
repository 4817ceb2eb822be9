"""The Temporal worker is killed in the middle of what takes long; seen from outside nothing is lost or doubled."""

import asyncio
import random

import pytest

from tests.chaos.conftest import SENTENCE
from tests.support.chaos import (
    Delivery,
    Evidence,
    deliver,
    end_of,
    gather_evidence,
    judge,
    kill,
    leftovers,
    running,
    runs,
    unclaimed_agents,
)
from tests.support.eventually import eventually
from tests.support.stack import Stack

TURN, TESTS, PLAYBOOK = range(3)
SLOW = f"{SENTENCE} [agent:slow=5]"
ENDS_WITHIN_S = 100


@pytest.fixture(scope="session")
def chance(chaos_seed: int) -> random.Random:
    """Where in a phase the kill falls: every soak round has another seed."""
    return random.Random(chaos_seed)


async def assert_same_end(stack: Stack, delivery: Delivery, unkilled: Evidence) -> None:
    task = await end_of(stack, delivery.task_id, ENDS_WITHIN_S)
    assert task["state"] == "completed", task
    assert judge(await gather_evidence(stack, delivery), unkilled, delivery.release) == []
    assert unclaimed_agents(stack) == []


@pytest.mark.parametrize(
    ("phase", "sentence", "latest_s"),
    [(TURN, SLOW, 3.0), (TESTS, SENTENCE, 0.8), (PLAYBOOK, SENTENCE, 2.0)],
    ids=["the agent's turn", "the Tester", "the playbook"],
)
async def test_a_worker_killed_in_the_middle_changes_nothing(
    stack: Stack, unkilled: Evidence, chance: random.Random, phase: int, sentence: str, latest_s: float
) -> None:
    delivery = await deliver(stack, sentence)
    run = await running(stack, delivery.work[phase])
    await asyncio.sleep(chance.uniform(0, latest_s))  # the moment of the kill, not a wait for a fact
    await kill(stack, "workers")
    await assert_same_end(stack, delivery, unkilled)
    assert runs(stack, delivery.work[phase]) == [run], "the successor started it again instead of adopting it"


async def test_a_worker_killed_just_after_the_start_and_again_in_the_turn_changes_nothing(
    stack: Stack, unkilled: Evidence
) -> None:
    delivery = await deliver(stack, SLOW)
    await kill(stack, "workers")
    await running(stack, delivery.work[TURN])
    await kill(stack, "workers")
    await assert_same_end(stack, delivery, unkilled)


async def test_a_killed_api_and_a_killed_temporal_server_change_nothing(stack: Stack, unkilled: Evidence) -> None:
    delivery = await deliver(stack, SLOW)
    await running(stack, delivery.work[TURN])
    await kill(stack, "api")
    await running(stack, delivery.work[TESTS])
    await kill(stack, "temporal")
    await assert_same_end(stack, delivery, unkilled)


async def test_a_cancel_reaches_an_agent_whose_worker_was_killed(stack: Stack) -> None:
    delivery = await deliver(stack, f"{SENTENCE} [agent:hang]")
    await running(stack, delivery.work[TURN])
    killing = asyncio.create_task(kill(stack, "workers"))
    await stack.ok("task", "cancel", delivery.task_id)
    task = await end_of(stack, delivery.task_id, 30)
    await killing
    assert task["state"] == "cancelled", task
    for part in (delivery.engineering, delivery.task_id):
        assert (await stack.task(part))["state"] == "cancelled"
    await eventually(lambda: leftovers(stack, delivery) == (), 5, message="nothing left of the cancelled work")
    assert not (stack.home / "services" / delivery.slug).exists()
