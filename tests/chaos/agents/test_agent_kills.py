"""SIGKILL while a real agent works: nothing of a turn happens twice, and nothing that was paid for is lost."""

import asyncio
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from contracts import ids
from contracts.states import TaskKind
from emulators.model.records import Record
from emulators.model.steps import Do
from tests.support.agents.department import WISH, department
from tests.support.agents.real_platform import RealPlatform
from tests.support.agents.real_workers import RealTurn, RealWorker, spending
from tests.support.eventually import eventually
from tests.support.kills.killing import kill

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(1200)]

KILLS = 10
WORK = "[model:run sleep 1; echo first][model:write second.txt Second][model:run sleep 1; echo third]"
STEPS = ["run", "write", "run", "say"]
ENDS_WITHIN_S = 120.0
STREAM_S = 20.0
"""How long the answer takes in which the proxy is killed."""


@dataclass(frozen=True)
class Killed:
    """A turn in which the Temporal worker was killed, so many seconds after its message was taken."""

    turn: RealTurn
    after_s: float
    back_s: float


async def test_a_killed_temporal_worker_neither_repeats_nor_loses_a_turn(real: RealPlatform, chaos_seed: int) -> None:
    worker = await RealWorker.made(real, WORK)
    lasts_s = await undisturbed(worker)
    moments = [random.Random(chaos_seed + number).uniform(0, lasts_s) for number in range(KILLS)]
    seen = [await killed(worker, number, moment) for number, moment in enumerate(moments, start=2)]
    print("\n".join(f"{one.turn.name}: {one.after_s:.1f} s of {lasts_s:.1f}" for one in seen))  # noqa: T201
    for one in seen:
        assert one.turn.containers == [one.turn.name], f"killed after {one.after_s:.1f} s"
        assert [asked.step for asked in one.turn.asked] == STEPS, f"killed after {one.after_s:.1f} s"


async def undisturbed(worker: RealWorker) -> float:
    """How many seconds its first turn takes, when nobody disturbs it."""
    clock = asyncio.get_running_loop().time
    began = clock()
    turn = await worker.told(1)
    answer = await turn.ended(ENDS_WITHIN_S)
    assert answer.success, answer
    assert [one.step for one in turn.asked] == STEPS
    assert turn.containers == [turn.name]
    return clock() - began


async def killed(worker: RealWorker, number: int, moment: float) -> Killed:
    turn = await worker.told(number)
    await asyncio.sleep(moment)  # the moment of the kill
    back_s = await kill(worker.platform.stack, "workers")
    answer = await turn.ended(ENDS_WITHIN_S)
    assert answer.success, answer
    return Killed(turn, moment, back_s)


async def test_a_proxy_killed_in_a_stream_costs_what_nobody_knows_and_the_work_goes_on(real: RealPlatform) -> None:
    stack, project = real.stack, await real.stack.new_project()
    with slow_first_file(real):
        started = await stack.ok("delivery", "start", "--project", project, WISH)
        engineering = ids.child_task_id(started["task_id"], TaskKind.ENGINEERING)
        cut = await stream_that_is_open(real)
        await stack.kill("model-proxy")
    task = await stack.finished(started["task_id"], 400)
    assert task["state"] == "completed", task
    assert cut.state == "left"
    starts = [name for name in stack.container_starts() if name.startswith(f"turn-{engineering}-")]
    assert len(set(starts)) == len(starts), "no container starts twice"
    turns = [int(found[1]) for name in starts if (found := re.fullmatch(rf"turn-{engineering}-(\d+)", name))]
    # A proxy that is back in time answers the same turn, whose agent asks again by itself; else the next turn goes on.
    assert turns in ([1], [1, 2])
    spent = [await spending(real, engineering, turn) for turn in turns]
    unknown = [(one.unknown_requests, one.open_requests) for one in spent]
    assert unknown == [(1, 0), (0, 0)][: len(turns)], "what the cut answer costs is not made up"


@contextmanager
def slow_first_file(real: RealPlatform) -> Iterator[None]:
    """The Developer's first file comes as slowly as a long one does."""
    developer = next(one for one in department() if one.name == "notes")
    first = next(number for number, step in enumerate(developer.steps) if step.do is Do.WRITE)
    slow = developer.steps[first].model_copy(update={"over_s": STREAM_S})
    steps = (*developer.steps[:first], slow, *developer.steps[first + 1 :])
    scenario = developer.model_copy(update={"steps": steps})
    real.model.scenarios.append(scenario)
    try:
        yield
    finally:
        real.model.scenarios.remove(scenario)


async def stream_that_is_open(real: RealPlatform) -> Record:
    """The request of the slow answer, once it is being answered."""
    before = real.model.records.seen

    def found() -> Record | None:
        news = (one for one in real.model.records.requests if one.number > before and one.step == "write")
        return next((one for one in news if one.state == "open" and one.status == 200), None)

    record = await eventually(found, 120, message="an answer under way")
    assert record is not None
    return record
