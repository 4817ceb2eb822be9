"""One platform for the whole suite, and one delivery on it that nobody disturbs: what the others are compared with."""

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.chaos import Evidence, deliver, end_of, gather_evidence, judge
from tests.support.eventually import eventually
from tests.support.stack import Stack, running_stack

SENTENCE = "A library with books: title, author, year:int"


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    # Not below pytest's own directory: another pytest that starts meanwhile closes that for the database's user,
    # and the database is started again here.
    with TemporaryDirectory(prefix="chaos-") as directory, pytest.MonkeyPatch.context() as environment:
        # What is counted here is processes; containers have a suite of their own.
        environment.setenv("ORCHESTRATOR_RUNTIME", "process")
        async with running_stack(Path(directory) / "home") as stack:
            yield stack
        await eventually(lambda: stack.processes() == [], 15, message="nothing of the platform left after `down`")


@pytest.fixture(scope="session")
async def unkilled(stack: Stack) -> Evidence:
    delivery = await deliver(stack, SENTENCE)
    task = await end_of(stack, delivery.task_id, 90)
    assert task["state"] == "completed", task
    evidence = await gather_evidence(stack, delivery)
    assert (evidence.commits, evidence.turns, evidence.service_processes) == (2, 1, 1), evidence
    assert judge(evidence, evidence, delivery.release) == []
    return evidence
