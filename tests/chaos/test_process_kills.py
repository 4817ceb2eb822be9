"""The same for processes: the Temporal worker is killed in a step, and the next attempt finds what runs."""

import random

import pytest

from tests.chaos.conftest import SENTENCE
from tests.soak.campaign import DEPLOY, ENDS_WITHIN_S, TURN, in_run
from tests.support.kills.judging import Evidence, judge
from tests.support.kills.killing import kill
from tests.support.kills.run import deliver, end_of, gather_evidence
from tests.support.kills.traces import ProcessTraces

pytestmark = [pytest.mark.timeout(400), pytest.mark.deep]


@pytest.mark.parametrize(("phase", "latest_s"), [(TURN, 3.0), (DEPLOY, 1.0)], ids=["the agent's turn", "the deploy"])
async def test_a_worker_killed_in_the_middle_changes_nothing(
    processes: ProcessTraces, unkilled: Evidence, chaos_seed: int, phase: int, latest_s: float
) -> None:
    delivery = await deliver(processes.stack, f"{SENTENCE} [agent:slow=5]")
    run = await in_run(phase, random.Random(chaos_seed).uniform(0, latest_s))(processes, delivery)
    await kill(processes.stack, "workers")
    task = await end_of(processes.stack, delivery.task_id, ENDS_WITHIN_S)
    assert task["state"] == "completed", task
    assert judge(await gather_evidence(processes, delivery), unkilled, delivery.release) == []
    assert [one.identity for one in processes.runs(delivery.work[phase])] == [run], "started again instead of adopted"
    assert processes.strays() == ()
