"""The benchmark of main jobs counts a job as finished when its URL answers, and knows where its time went."""

import pytest

from benchmarks.main_jobs import job
from benchmarks.processor_shares import sampled
from contracts.states import TaskState
from runtime.api_client import ApiClient
from tests.support.stack import Stack


@pytest.mark.deep
async def test_a_job_is_measured(stack: Stack) -> None:
    async with sampled() as shares, ApiClient(f"http://127.0.0.1:{stack.port_base}", stack.admin_key()) as api:
        done = await job(api)
    assert (done.task.state, done.answers) == (TaskState.COMPLETED, True)
    assert {"engineering: developing", "engineering: testing", "deploy: deploying"} <= set(done.stages)
    assert 0 < sum(done.stages.values()) <= done.seconds
    assert shares.used["Temporal workers"] > 0
