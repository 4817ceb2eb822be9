"""Open tasks against the real database: their ends are recorded once, and a word of the workflow itself wins."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from activities.maintenance import MaintenanceActivities
from activities.ports import WorkflowClient
from contracts.errors import ErrorCode, OrchestratorError
from contracts.maintenance import WorkflowEnding
from contracts.nouns import ProjectCreate
from contracts.outside_text import REPLACEMENT
from contracts.progress import FineEvent, ProgressEvent, Projection
from contracts.subjects import Subject
from runtime.api_client import ApiClient
from tests.support.api import Api, Headers, milestone, release, running_api


@dataclass
class Endings:
    """Temporal: workflows run unless it is said how they ended."""

    said: dict[str, WorkflowEnding] = field(default_factory=dict)

    async def ending(self, workflow_id: str, run_id: str) -> WorkflowEnding | None:
        return self.said.get(workflow_id)


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest_asyncio.fixture
async def client(api: Api) -> AsyncIterator[ApiClient]:
    async with ApiClient(api.settings.api_url, _key(api.platform), attempts=1, transport=_transport(api)) as client:
        yield client


async def reconciled(client: ApiClient, endings: Endings) -> list[str]:
    return await MaintenanceActivities(client, cast(WorkflowClient, endings)).reconcile(0)


async def shown(api: Api, path: str) -> dict[str, Any]:
    return dict((await api.http.get(path, headers=api.admin)).json())


async def test_every_open_task_is_listed_whoever_it_belongs_to_and_no_other(api: Api, client: ApiClient) -> None:
    _, stranger = await api.new_user()
    theirs = await api.new_project(stranger)
    open_ones = {await api.new_task(theirs, project_status="developing") for _ in range(3)}
    closed = await api.new_task(theirs, state="completed")
    found = {task.id: task for task in await client.open_tasks()}
    assert open_ones <= found.keys()
    assert closed not in found
    assert {found[one].project_status for one in open_ones} == {"developing"}


async def test_the_platform_hears_whether_a_task_of_anybody_has_ended(api: Api, client: ApiClient) -> None:
    _, other = await api.new_user()
    theirs = await api.new_project(other)
    running, done = await api.new_task(theirs), await api.new_task(theirs, state="completed")
    assert [await client.has_ended(task) for task in (running, done)] == [False, True]


async def test_pages_leave_no_task_out(api: Api, client: ApiClient) -> None:
    project = await api.new_project(api.admin)
    wanted = sorted([await api.new_task(project) for _ in range(5)])
    seen: list[str] = []
    after = wanted[0][:-1]
    while page := (await api.http.get(f"/internal/tasks?limit=2&after={after}", headers=api.platform)).json()["items"]:
        seen += [item["id"] for item in page]
        after = page[-1]["id"]
    assert [one for one in seen if one in wanted] == wanted
    assert len(seen) == len(set(seen))


async def test_a_person_may_not_read_what_belongs_to_everybody(api: Api) -> None:
    assert (await api.http.get("/internal/tasks", headers=api.admin)).status_code == 403


async def test_a_task_that_outlived_its_workflow_ends_with_its_question_and_its_projects_state(
    api: Api, client: ApiClient
) -> None:
    project = await api.new_project(api.admin)
    task = await api.new_task(project, project_status="developing")
    question = await api.new_question(task, project)
    ending = WorkflowEnding(how="terminated")
    assert await reconciled(client, Endings({f"engineering/{task}": ending})) == [task]
    now = await shown(api, f"/tasks/{task}")
    assert (now["state"], now["error_code"], now["waiting_for"]) == ("failed", "WORKFLOW_LOST", None)
    assert (await shown(api, f"/questions/{question}"))["state"] == "withdrawn"
    assert (await shown(api, f"/projects/{project}"))["project"]["status"] == "failed"
    events = (await shown(api, f"/tasks/{task}/events"))["items"]
    assert "terminated" in events[-1]["event"]["error"]
    assert await reconciled(client, Endings({f"engineering/{task}": ending})) == [], "once"


async def test_a_release_does_not_stay_half_way_when_its_deploy_has_ended(api: Api, client: ApiClient) -> None:
    project = await api.new_project(api.admin)
    deploy, other = (f"dep-{uuid4().hex[:12]}" for _ in range(2))
    for task, seq in ((deploy, 1), (other, 1)):
        assert await api.project_task(task, project, seq=seq, kind="deploy", workflow_id=f"deploy/{task}")
    left, going_on = (release(project, "probing", task_id=task) for task in (deploy, other))
    for one in (left, going_on):
        assert (await api.http.put("/internal/releases", json=one, headers=api.platform)).status_code == 200
    assert await reconciled(client, Endings({f"deploy/{deploy}": WorkflowEnding(how="terminated")})) == [deploy]
    found = (await shown(api, f"/projects/{project}/releases"))["items"]
    states = {one["id"]: (one["state"], one["error_code"]) for one in found}
    assert states == {left["id"]: ("failed", "WORKFLOW_LOST"), going_on["id"]: ("probing", None)}


async def test_a_release_does_not_stay_half_way_when_a_rollback_to_it_has_ended(api: Api, client: ApiClient) -> None:
    project = await api.new_project(api.admin)
    rollback, later = (f"dep-{uuid4().hex[:12]}" for _ in range(2))
    back, live = (release(project) for _ in range(2))
    for one in (back, live):
        for state in ("pending", "active"):
            await api.http.put("/internal/releases", json={**one, "state": state}, headers=api.platform)
    for task in (rollback, later):
        assert await api.project_task(task, project, seq=1, kind="deploy", workflow_id=f"deploy/{task}")
    for state in ("pending", "starting", "probing"):
        moved = {**back, "state": state, "task_id": rollback}
        assert (await api.http.put("/internal/releases", json=moved, headers=api.platform)).status_code == 200
    assert await reconciled(client, Endings({f"deploy/{later}": WorkflowEnding(how="terminated")})) == [later]
    found = {one["id"]: one for one in (await shown(api, f"/projects/{project}/releases"))["items"]}
    assert found[back["id"]]["state"] == "probing", "another task moves it"
    assert await reconciled(client, Endings({f"deploy/{rollback}": WorkflowEnding(how="terminated")})) == [rollback]
    found = {one["id"]: one for one in (await shown(api, f"/projects/{project}/releases"))["items"]}
    assert (found[back["id"]]["state"], found[back["id"]]["error_code"]) == ("superseded", "WORKFLOW_LOST")
    assert found[live["id"]]["state"] == "active"
    assert found[back["id"]]["task_id"] == back["task_id"], "the deploy that made it"


async def test_a_word_of_the_workflow_that_comes_meanwhile_wins(api: Api, client: ApiClient) -> None:
    project = await api.new_project(api.admin)
    task = await api.new_task(project)

    class Late(Endings):
        async def ending(self, workflow_id: str, run_id: str) -> WorkflowEnding | None:
            if workflow_id != f"engineering/{task}":
                return None
            assert await api.project_task(task, project, seq=1_000, state="completed", milestone=milestone("done"))
            return WorkflowEnding(how="failed", message="a failure")

    assert await reconciled(client, Late()) == []
    assert (await shown(api, f"/tasks/{task}"))["state"] == "completed"


async def test_a_project_that_is_not_being_worked_on_keeps_its_state(api: Api, client: ApiClient) -> None:
    project = await api.new_project(api.admin)
    task = await api.new_task(project)
    await reconciled(client, Endings({f"engineering/{task}": WorkflowEnding(how="cancelled")}))
    assert (await shown(api, f"/tasks/{task}"))["state"] == "cancelled"
    assert (await shown(api, f"/projects/{project}"))["project"]["status"] == "draft"


async def test_text_from_outside_is_cleaned_before_it_is_written(api: Api, client: ApiClient) -> None:
    project = await api.new_project(api.admin)
    task_id, bad, good = f"eng-{uuid4().hex[:12]}", "git: a\x00b", f"git: a{REPLACEMENT}b"
    last = Projection(
        workflow_id=f"engineering/{task_id}", run_id="run-1", seq=9, task_id=task_id, user_id=1, kind="engineering",
        subject=Subject.project(project), state="failed", error=bad, error_code=ErrorCode.GIT_FAILED,
        result={"summary": bad}, milestone=ProgressEvent(type="failed", request_id="r", message=bad),
    )  # fmt: skip
    assert (await client.apply_projection(last)).accepted
    event = ProgressEvent(type="progress", request_id="r", message=bad)
    await client.post_events(task_id, [FineEvent(key="k", event=event)])
    now = await shown(api, f"/tasks/{task_id}")
    assert (now["state"], now["error"], now["result"]) == ("failed", good, {"summary": good})


async def test_a_person_who_sends_it_is_told_and_nothing_is_changed_unseen(api: Api) -> None:
    body = {"id": f"p-{uuid4().hex}", "name": f"n{uuid4().hex[:8]}"}
    async with ApiClient(api.settings.api_url, _key(api.admin), transport=_transport(api)) as person:
        with pytest.raises(OrchestratorError) as refused:
            await person.create_project(ProjectCreate(**body, title="a\x00b"))
    assert refused.value.code is ErrorCode.INVALID_INPUT


def _key(headers: Headers) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


def _transport(api: Api) -> httpx.ASGITransport:
    return httpx.ASGITransport(api.app, raise_app_exceptions=False)


async def test_what_nobody_can_use_any_more_is_deleted(api: Api, client: ApiClient) -> None:
    project = await api.new_project(api.admin)
    token = {"project_id": project, "commands": ["task.show"], "ttl_s": 60}
    assert (await api.http.post("/internal/tokens", json=token, headers=api.platform)).status_code == 201
    await client.tidy()
    await api.rows("UPDATE credentials SET expires_at = now() - interval '8 days' WHERE project_id = $1", project)
    await api.rows("INSERT INTO chat_updates VALUES ('old', 'x', now() - interval '8 days'), ('new', 'x', now())")
    tidied = await client.tidy()
    assert (tidied.tokens, tidied.chat_updates) == (1, 1)
    assert await api.rows("SELECT 1 FROM credentials WHERE project_id = $1", project) == []
