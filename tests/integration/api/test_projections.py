"""What workflows say of themselves is applied once, in order, and never unsays what is proven."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.support.api import Api, milestone, projection, question_document, release, running_api


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest_asyncio.fixture
async def project_id(api: Api) -> str:
    return await api.new_project(api.admin)


async def task(api: Api, task_id: str) -> dict[str, Any]:
    return (await api.http.get(f"/tasks/{task_id}", headers=api.admin)).json()


async def project_status(api: Api, project_id: str) -> str:
    reply = await api.http.get(f"/projects/{project_id}", headers=api.admin)
    return str(reply.json()["project"]["status"])


async def make_live(api: Api, project_id: str) -> dict[str, Any]:
    body = release(project_id, server_handle="local", url="http://127.0.0.1:18000")
    for state in ("pending", "active"):
        reply = await api.http.put("/internal/releases", json={**body, "state": state}, headers=api.platform)
        assert reply.status_code == 200, reply.text
    return body


async def test_a_lower_or_equal_number_changes_nothing(api: Api, project_id: str) -> None:
    task_id = await api.new_task(project_id)
    assert await api.project_task(task_id, project_id, seq=10, state="completed", milestone=milestone("done"))
    before = await api.rows("SELECT * FROM tasks WHERE id = $1", task_id)
    for seq in (0, 9, 10):
        assert not await api.project_task(
            task_id, project_id, seq=seq, state="running", project_status="failed", milestone=milestone("late")
        )
    assert await api.rows("SELECT * FROM tasks WHERE id = $1", task_id) == before
    assert [row["event"] for row in await api.rows("SELECT event FROM events WHERE task_id = $1", task_id)] != []
    assert len(await api.rows("SELECT * FROM events WHERE task_id = $1", task_id)) == 1
    assert await project_status(api, project_id) == "draft"


async def test_concurrent_projections_out_of_order_end_in_the_highest(api: Api, project_id: str) -> None:
    task_id = f"eng-{uuid4().hex[:12]}"
    await asyncio.gather(
        *(api.project_task(task_id, project_id, seq=seq, title=f"title {seq}") for seq in (3, 1, 20, 7, 20, 15, 2))
    )
    assert (await task(api, task_id))["title"] == "title 20"


async def test_one_workflow_may_speak_of_several_tasks(api: Api, project_id: str) -> None:
    first, second = f"dep-{uuid4().hex[:12]}", f"dep-{uuid4().hex[:12]}"
    deploy = {"workflow_id": f"deploy/{project_id}", "kind": "deploy"}
    assert await api.project_task(first, project_id, seq=5, **deploy)
    assert await api.project_task(second, project_id, seq=6, state="queued", **deploy)
    assert await api.project_task(first, project_id, seq=7, state="completed", **deploy)
    assert ((await task(api, first))["state"], (await task(api, second))["state"]) == ("completed", "queued")


async def test_a_task_of_another_workflow_or_project_is_not_taken_over(api: Api, project_id: str) -> None:
    task_id = await api.new_task(project_id)
    other = await api.new_project(api.admin)
    for body in (
        projection(task_id, other, seq=50),
        projection(task_id, project_id, seq=50, workflow_id="engineering/x"),
    ):
        reply = await api.http.put("/internal/projections", json=body, headers=api.platform)
        assert (reply.status_code, reply.json()["code"]) == (409, "CONFLICT")


async def test_a_live_project_stays_active_when_a_later_task_fails(api: Api, project_id: str) -> None:
    await make_live(api, project_id)
    assert await project_status(api, project_id) == "active"
    task_id = f"eng-{uuid4().hex[:12]}"
    await api.project_task(task_id, project_id, seq=1, project_status="developing")
    assert await project_status(api, project_id) == "active"
    await api.project_task(task_id, project_id, seq=2, state="failed", project_status="failed", error="it broke")
    assert await project_status(api, project_id) == "active"
    assert (await task(api, task_id))["error"] == "it broke"


async def test_a_project_that_is_not_live_follows_its_tasks(api: Api, project_id: str) -> None:
    task_id = f"eng-{uuid4().hex[:12]}"
    for seq, status in enumerate(("scaffolding", "scaffolded", "developing", "testing", "failed")):
        await api.project_task(task_id, project_id, seq=seq, project_status=status)
        assert await project_status(api, project_id) == status


async def test_an_archived_project_stays_archived(api: Api, project_id: str) -> None:
    reply = await api.http.patch(f"/projects/{project_id}", json={"archived": True}, headers=api.admin)
    assert reply.json()["status"] == "archived"
    await api.new_task(project_id, project_status="developing")
    assert await project_status(api, project_id) == "archived"
    await make_live(api, project_id)
    assert await project_status(api, project_id) == "archived"


async def test_a_project_with_running_work_is_not_archived(api: Api, project_id: str) -> None:
    await api.new_task(project_id)
    reply = await api.http.patch(f"/projects/{project_id}", json={"archived": True}, headers=api.admin)
    assert (reply.status_code, reply.json()["code"]) == (409, "CONFLICT")


async def test_results_and_artifacts_are_kept_when_a_later_stage_does_not_repeat_them(
    api: Api, project_id: str
) -> None:
    ref = (await api.state.artifacts.put("report", uuid4().hex.encode())).model_dump()
    task_id = await api.new_task(project_id, title="A title", result={"commit_sha": "abc"}, artifacts=[ref])
    await api.project_task(task_id, project_id, seq=2, result={"port": 18000}, artifacts=[ref])
    shown = await task(api, task_id)
    assert shown["result"] == {"commit_sha": "abc", "port": 18000}
    assert shown["artifacts"] == [ref]
    assert shown["title"] == "A title"


async def test_what_was_not_built_is_kept_with_the_task(api: Api, project_id: str) -> None:
    criterion = {"id": "w1", "sentence": "Not understood.", "words": "Sort by year", "state": "not_met", "proof": None}
    task_id = await api.new_task(project_id, criteria=[criterion])
    await api.project_task(task_id, project_id, seq=2, state="completed")
    assert (await task(api, task_id))["criteria"] == [criterion]


async def test_a_question_opens_and_closes_once(api: Api, project_id: str) -> None:
    task_id = await api.new_task(project_id)
    question = question_document(task_id, project_id, choices=["a", "b"])
    await api.project_task(task_id, project_id, seq=2, state="waiting", waiting_for="a person", question=question)
    shown = (await api.http.get(f"/projects/{project_id}", headers=api.admin)).json()
    assert [open_question["id"] for open_question in shown["open_questions"]] == [question["id"]]
    closed = {**question, "state": "answered", "answer": "a", "answered_by": 1, "closed_at": "2026-01-01T00:00:00Z"}
    await api.project_task(task_id, project_id, seq=3, question=closed)
    await api.project_task(task_id, project_id, seq=4, question=question)
    stored = (await api.http.get(f"/questions/{question['id']}", headers=api.admin)).json()
    assert (stored["state"], stored["answer"]) == ("answered", "a")
    assert (await api.http.get("/questions?state=open", headers=api.admin)).json()["items"] == []


async def test_a_projection_for_an_unknown_project_leaves_nothing(api: Api) -> None:
    task_id = f"eng-{uuid4().hex[:12]}"
    reply = await api.http.put(
        "/internal/projections", json=projection(task_id, "nowhere", seq=1), headers=api.platform
    )
    assert reply.status_code == 404
    assert await api.rows("SELECT * FROM tasks WHERE id = $1", task_id) == []


async def test_what_has_ended_in_one_run_is_closed_for_another(api: Api, project_id: str) -> None:
    task_id = await api.new_task(project_id)
    await api.project_task(task_id, project_id, seq=5, state="completed", milestone=milestone("done", "completed"))
    before = await api.rows("SELECT * FROM tasks WHERE id = $1", task_id)
    again = projection(
        task_id, project_id, seq=99, run_id="run-2", project_status="failed", milestone=milestone("again")
    )
    reply = await api.http.put("/internal/projections", json=again, headers=api.platform)
    assert (reply.json()["accepted"], reply.json()["closed"]) == (False, True)
    assert await api.rows("SELECT * FROM tasks WHERE id = $1", task_id) == before
    repeated = projection(task_id, project_id, seq=5, state="completed")
    reply = await api.http.put("/internal/projections", json=repeated, headers=api.platform)
    assert (reply.json()["accepted"], reply.json()["closed"]) == (False, False)


async def test_a_running_task_continues_in_the_next_run(api: Api, project_id: str) -> None:
    task_id = await api.new_task(project_id)
    assert await api.project_task(task_id, project_id, seq=2, run_id="run-2", stage="testing")
    assert (await task(api, task_id))["run_id"] == "run-2"
