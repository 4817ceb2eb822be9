"""Work about a server, a chat or a project is shown to the right people and to nobody else, and answered by them.

The API, PostgreSQL and the Temporal server are real; only the workflow is a test's.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities.projection import ProjectionActivities
from contracts.names import Queue
from contracts.subjects import Subject
from runtime.api_client import ApiClient
from runtime.temporal.gateway import Gateway
from tests.integration.api.subject_workflows import Errand, ErrandWorkflow
from tests.support.api import Api, Headers, running_api, served
from tests.support.eventually import eventually
from tests.support.workflows.temporal_server import running_temporal_server
from workers.sandbox import build_runner


@dataclass
class Place:
    """The API and a Temporal worker, and how people see what goes on there."""

    api: Api
    client: Client

    async def begin(self, subject: Subject, user_id: int) -> str:
        """An errand that has asked its question; returns the task's id."""
        task_id = f"eng-{uuid4().hex[:12]}"
        errand = Errand(task_id=task_id, subject=subject, user_id=user_id)
        await self.client.start_workflow(
            ErrandWorkflow.run, errand, id=f"engineering/{task_id}", task_queue=Queue.ORCHESTRATOR
        )
        await eventually(lambda: self.state(task_id), message="the question")
        return task_id

    async def state(self, task_id: str) -> bool:
        rows = await self.api.rows("SELECT state FROM tasks WHERE id = $1", task_id)
        return bool(rows) and rows[0]["state"] == "waiting"

    async def question_of(self, task_id: str) -> str:
        [row] = await self.api.rows("SELECT id FROM questions WHERE task_id = $1", task_id)
        return str(row["id"])

    async def sees(self, person: Headers, task_id: str) -> bool:
        """Whether a person finds the task and its question, in every list and by id: all of these say the same."""
        question_id = await self.question_of(task_id)
        found = {
            "/tasks": task_id in (await self._get("/tasks", person)).text,
            "/questions": question_id in (await self._get("/questions", person)).text,
            **{
                path: (await self._get(path, person)).status_code == 200
                for path in (
                    f"/tasks/{task_id}",
                    f"/tasks/{task_id}/tree",
                    f"/tasks/{task_id}/events",
                    f"/questions/{question_id}",
                )
            },
        }
        assert len(set(found.values())) == 1, found
        return found["/tasks"]

    async def answer(self, person: Headers, task_id: str, text: str = "approve") -> tuple[int, str]:
        """Status and code, or what the errand came to when the answer was taken."""
        path = f"/questions/{await self.question_of(task_id)}/answer"
        reply = await self.api.http.post(path, json={"answer_id": uuid4().hex, "text": text}, headers=person)
        if reply.status_code != 200:
            return reply.status_code, reply.json()["code"]
        return 200, await self.client.get_workflow_handle(f"engineering/{task_id}", result_type=str).result()

    async def join(self, user_id: int, subject: Subject, role: str) -> None:
        await self.api.rows(
            "INSERT INTO memberships (user_id, subject_kind, subject_id, role, created_at) "
            "VALUES ($1, $2, $3, $4, now())",
            user_id, subject.kind.value, subject.id, role,
        )  # fmt: skip

    async def _get(self, path: str, person: Headers) -> Any:
        return await self.api.http.get(path, headers=person)


@pytest_asyncio.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    directory: Path = tmp_path_factory.mktemp("subjects")
    async with running_temporal_server(directory / "temporal") as address:
        client = await Client.connect(address, data_converter=pydantic_data_converter)
        gateway: Any = Gateway(client, "http://ui.test")
        async with running_api(directory, gateway) as api, served(api.app) as url:
            key = api.platform["Authorization"].removeprefix("Bearer ")
            async with ApiClient(url, key) as platform:
                place = Place(api, client)
                worker = Worker(
                    client,
                    task_queue=Queue.ORCHESTRATOR,  # there the ledger's activities go; the server is this file's own
                    workflows=[ErrandWorkflow],
                    activities=[ProjectionActivities(platform).apply],
                    workflow_runner=build_runner(),
                )
                async with worker:
                    yield place


async def test_a_servers_task_is_for_admins(place: Place) -> None:
    member_id, member = await place.api.new_user()
    _, other_admin = await place.api.new_user("admin")
    server = {"handle": f"s-{uuid4().hex[:8]}", "public_ip": "192.0.2.7"}
    assert (await place.api.http.post("/servers", json=server, headers=place.api.admin)).status_code == 201
    task_id = await place.begin(Subject.server(server["handle"]), 1)
    assert not await place.sees(member, task_id)
    assert (await place.answer(member, task_id))[0] == 404
    assert await place.sees(other_admin, task_id)
    shown = (await place.api.http.get(f"/tasks/{task_id}", headers=other_admin)).json()
    assert shown["subject"] == {"kind": "server", "id": server["handle"]}
    assert (shown["stage"], shown["question_id"]) == ("testing", await place.question_of(task_id))
    assert "user 1" in shown["waiting_for"]
    assert await place.answer(other_admin, task_id) == (200, "approve")
    assert member_id != 1


async def test_a_chats_task_is_for_its_person_alone(place: Place) -> None:
    person_id, person = await place.api.new_user()
    _, stranger = await place.api.new_user()
    _, other_admin = await place.api.new_user("admin")
    task_id = await place.begin(Subject.chat(-100_200), person_id)
    assert await place.sees(person, task_id)
    for nobody in (stranger, other_admin, place.api.admin):
        assert not await place.sees(nobody, task_id)
        assert (await place.answer(nobody, task_id))[0] == 404
    assert await place.answer(person, task_id, "stop") == (200, "stop")


async def test_a_task_of_the_installation_is_for_admins(place: Place) -> None:
    _, member = await place.api.new_user()
    task_id = await place.begin(Subject.installation(), 1)
    assert not await place.sees(member, task_id)
    assert await place.sees(place.api.admin, task_id)
    assert await place.answer(place.api.admin, task_id) == (200, "approve")


async def test_a_viewer_looks_an_editor_acts_and_an_owner_does_all(place: Place) -> None:
    owner_id, owner = await place.api.new_user()
    viewer_id, viewer = await place.api.new_user()
    editor_id, editor = await place.api.new_user()
    _, stranger = await place.api.new_user()
    project_id = await place.api.new_project(owner)
    subject = Subject.project(project_id)
    await place.join(viewer_id, subject, "viewer")
    await place.join(editor_id, subject, "editor")
    task_id = await place.begin(subject, owner_id)
    assert [await place.sees(one, task_id) for one in (owner, editor, viewer, stranger)] == [True, True, True, False]

    start = {"request_id": "r", "project_id": project_id, "wish": "x"}
    acts = [
        ("POST", f"/tasks/{task_id}/cancel", None),
        ("POST", "/engineering", start),
        ("POST", "/deploys", {"request_id": "r", "project_id": project_id, "action": "stop"}),
        ("PUT", f"/projects/{project_id}/secrets/KEY", {"value": "v"}),
        ("DELETE", f"/projects/{project_id}/secrets/KEY", None),
        ("PATCH", f"/projects/{project_id}", {"title": "mine now"}),
        ("POST", "/tokens", {"project_id": project_id, "commands": ["task.cancel"]}),
    ]
    for method, path, body in acts:
        reply = await place.api.http.request(method, path, json=body, headers=viewer)
        assert (reply.status_code, reply.json()["code"]) == (403, "NOT_ALLOWED"), (path, reply.text)
        hidden = await place.api.http.request(method, path, json=body, headers=stranger)
        assert hidden.status_code == 404, (path, hidden.text)
    for method, path, body in acts[-2:]:
        assert (await place.api.http.request(method, path, json=body, headers=editor)).status_code == 403
        assert (await place.api.http.request(method, path, json=body, headers=owner)).status_code < 300

    assert await place.answer(viewer, task_id) == (403, "NOT_ALLOWED")
    secret = await place.api.http.put(f"/projects/{project_id}/secrets/KEY", json={"value": "v"}, headers=editor)
    assert secret.status_code == 200
    assert await place.answer(editor, task_id) == (200, "approve")
