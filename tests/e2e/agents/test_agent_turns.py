"""Many turns of a real agent at once, and none: what they take of the machine."""

import asyncio

import psutil
import pytest

from activities.adapters.containers.workspaces import WORKER_LABEL
from tests.support.agents.real_platform import RealPlatform
from tests.support.agents.real_workers import RealTurn, RealWorker
from tests.support.eventually import eventually
from tests.support.kills.traces import looking
from tests.support.services.runtimes import docker

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(900)]

AT_ONCE = 20
WORK = "[model:write hello.txt Hello][model:run cat hello.txt]"
STEPS = ["write", "run", "say"]


async def test_an_agent_worker_has_a_container_while_it_works_and_none_before_and_after(real: RealPlatform) -> None:
    worker = await RealWorker.made(real, WORK)
    assert containers_of(worker) == []
    turn = await worker.told(1)
    await eventually(lambda: containers_of(worker) == [turn.name], 60, message="a container while it works")
    answer = await turn.ended(120)
    assert answer.success, answer
    assert containers_of(worker) == []


async def test_twenty_turns_at_once_end_well(real: RealPlatform) -> None:
    workers = [await RealWorker.made(real, WORK) for _ in range(AT_ONCE)]
    memory = Memory()
    clock = asyncio.get_running_loop().time
    began = clock()
    with looking(memory.look):
        turns = await asyncio.gather(*(worker.told(1) for worker in workers))
        seconds = await asyncio.gather(*(lasted(turn, began) for turn in turns))
    ordered = sorted(seconds)
    print(  # noqa: T201 - the figures of docs/performance.md
        f"{AT_ONCE} turns at once: p50 {ordered[AT_ONCE // 2]:.1f} s, longest {ordered[-1]:.1f} s, "
        f"memory at most {memory.most / 2**20:.0f} MB more than before"
    )
    for turn in turns:
        assert turn.containers == [turn.name]
        assert [one.step for one in turn.asked] == STEPS


async def lasted(turn: RealTurn, began: float) -> float:
    """Seconds from `began` until its end, which must be a good one."""
    answer = await turn.ended(400)
    assert answer.success, answer
    return asyncio.get_running_loop().time() - began


def containers_of(worker: RealWorker) -> list[str]:
    """Names of its containers that run now."""
    listed = docker("ps", "--format", "{{.Names}}", "--filter", f"label={WORKER_LABEL}={worker.id}")
    return sorted(listed.split())


class Memory:
    """How much more memory of this machine is in use than at the beginning, in bytes."""

    def __init__(self) -> None:
        self._before = psutil.virtual_memory().available
        self.most = 0

    def look(self) -> None:
        self.most = max(self.most, self._before - psutil.virtual_memory().available)
