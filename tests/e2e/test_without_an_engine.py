"""The main job where Docker does not answer: everything is a process."""

import pytest

from tests.e2e.conftest import Traced
from tests.support.outside import Outside, agent_starts, answer, processes_of
from tests.support.people.story import ENTITY, below

pytestmark = pytest.mark.timeout(900)


@pytest.mark.containers  # about their absence: with everything as processes the reason is another
async def test_without_an_engine_a_sentence_becomes_a_service_of_processes(without_docker: Traced) -> None:
    stack, name = without_docker.stack, "engineless"
    status = await stack.cli("status")
    assert "Runtime" in status.out
    assert "processes (the Docker Engine does not answer" in status.out
    started = await stack.ok("delivery", "start", "--project", await stack.new_project(name), ENTITY)
    task = await stack.finished(started["task_id"])
    assert task["state"] == "completed", task
    engineering, _, release = below(task["id"])
    assert agent_starts(stack, engineering) == {"1": 1}
    assert [line for line in await processes_of(stack, f"svc-{name}") if "services.backend" in line]
    assert await Outside(stack, name).releases() == [release]
    assert (await answer(task["result"]["deployed_url"]))["release"] == release
