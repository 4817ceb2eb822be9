"""Temporal does not answer: commands that start work or ask for its state soon say so, and what to do."""

import sys
import time

import pytest

from contracts.errors import ErrorCode
from runtime.temporal.calls import RPC_TIMEOUT
from tests.chaos.conftest import SENTENCE
from tests.support.kills.killing import frozen
from tests.support.kills.traces_in_containers import ContainerTraces
from tests.support.patience import promised
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(240)

TOLD_WITHIN_S = 5.0
"""On a machine that is free. A busy one takes its time to start a command, which is measured and allowed twice."""


@pytest.fixture
def stack(containers: ContainerTraces) -> Stack:
    """The platform that is killed, once nothing else uses it."""
    return containers.stack


async def told_within(stack: Stack) -> float:
    began = time.monotonic()
    await stack.ok("project", "list")
    return promised(max(TOLD_WITHIN_S, RPC_TIMEOUT.total_seconds() + 2 * (time.monotonic() - began)))


async def test_a_hanging_temporal_server_is_told_by_starts_and_by_status(stack: Stack) -> None:
    project, allowed_s = await stack.new_project(), await told_within(stack)
    with frozen(stack.pid_of("temporal")):
        began = time.monotonic()
        said = await stack.cli("delivery", "start", "--project", project, SENTENCE)
        took = time.monotonic() - began
        status = await stack.cli("status")
    assert said.code == 6
    assert ErrorCode.TEMPORAL_UNREACHABLE in said.err
    assert took < allowed_s, took
    sys.stdout.write(f"told after {took:.1f} s, allowed {allowed_s:.1f} s\n")
    assert status.code == 6
    assert "cannot reach Temporal" in status.out
