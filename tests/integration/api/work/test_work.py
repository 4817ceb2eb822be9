"""Starting, answering and cancelling work; Temporal may be unavailable."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from api import migrate
from api.app import create_app
from api.bootstrap import bootstrap
from contracts.errors import ErrorCode, OrchestratorError
from contracts.ids import deploy_workflow_id
from contracts.nouns import AnswerRequest, DeploymentRecord, ProjectCreate, TokenRequest, UserCreate
from contracts.progress import FineEvent, Projection
from runtime import private_files
from runtime.api_client import ApiClient
from runtime.settings import Settings
from runtime.temporal.gateway import WorkflowDescription
from tests.support.api import (
    Api,
    Headers,
    bearer,
    fine_event,
    milestone,
    new_database,
    projection,
    question_document,
    release,
    running_api,
    served,
)
from tests.support.ports import any_free


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(autouse=True)
def forgetful(api: Api) -> None:
    api.gateway.started.clear()
    api.gateway.answers.clear()
    api.gateway.cancelled.clear()
    api.gateway.described.clear()
    api.gateway.refusal = None


@pytest_asyncio.fixture
async def project_id(api: Api) -> str:
    return await api.new_project(api.admin)


async def start(
    api: Api, path: str, project_id: str, headers: Headers | None = None, **fields: object
) -> httpx.Response:
    body = {"request_id": "r-1", "project_id": project_id, **fields}
    return await api.http.post(path, json=body, headers=headers or api.admin)


async def test_a_wish_becomes_the_departments_message(api: Api) -> None:
    user_id, owner = await api.new_user()
    project_id = await api.new_project(owner, modules=["backend", "tg_bot"])
    reply = await start(
        api, "/deliveries", project_id, {**owner, "X-Orchestrator-Via": "cli"}, wish="A blog", require_approval=True
    )
    assert reply.status_code == 202
    [message] = api.gateway.started
    assert reply.json()["task_id"] == message.task_id
    assert (message.user_id, message.actor.user_id, message.actor.role, message.actor.via) == (
        user_id,
        user_id,
        "member",
        "cli",
    )
    assert (message.project_id, message.require_approval) == (project_id, True)
    assert message.spec.description == "A blog"
    assert message.spec.name == message.project_name
    assert message.repository == f"u{user_id}/{message.project_name}"
    assert [module.value for module in message.spec.modules] == ["backend", "tg_bot"]


@pytest.mark.parametrize(
    ("modules", "wish", "expected"),
    [
        (["backend"], "A bot with a command /hello that answers Hi", ["backend", "tg_bot"]),
        (["backend", "tg_bot"], "Notes: title", ["backend", "tg_bot"]),
        (["tg_bot"], "Веб-страницы для заметок: текст", ["tg_bot", "web", "backend"]),
        (["tg_bot"], "The bot answers /bye with Bye", ["tg_bot"]),
    ],
)
async def test_modules_follow_from_the_wish(api: Api, modules: list[str], wish: str, expected: list[str]) -> None:
    _, owner = await api.new_user()
    project_id = await api.new_project(owner, modules=modules)
    await start(api, "/engineering", project_id, owner, wish=wish)
    [message] = api.gateway.started
    assert [module.value for module in message.spec.modules] == expected


async def test_an_admin_who_starts_work_for_a_member_is_the_actor_and_not_the_owner(api: Api) -> None:
    user_id, owner = await api.new_user()
    project_id = await api.new_project(owner)
    await start(api, "/engineering", project_id, wish="x")
    [message] = api.gateway.started
    assert (message.user_id, message.actor.user_id, message.actor.role) == (user_id, 1, "admin")


async def test_the_same_request_is_the_same_task_also_after_its_end(api: Api, project_id: str) -> None:
    first = (await start(api, "/deploys", project_id)).json()
    again = (await start(api, "/deploys", project_id)).json()
    assert first["task_id"] == again["task_id"]
    await api.project_task(
        first["task_id"], project_id, seq=1, kind="deploy", state="completed", workflow_id=first["workflow_id"]
    )
    starts = len(api.gateway.started)
    after = (await start(api, "/deploys", project_id)).json()
    assert (after["task_id"], after["joined"]) == (first["task_id"], True)
    assert len(api.gateway.started) == starts


async def test_equal_request_ids_of_two_people_are_two_tasks(api: Api, project_id: str) -> None:
    _, other = await api.new_user()
    mine = (await start(api, "/engineering", project_id, wish="x")).json()
    theirs = (await start(api, "/engineering", await api.new_project(other), other, wish="x")).json()
    assert mine["task_id"] != theirs["task_id"]


async def test_the_spec_comes_from_the_body_else_the_wish_else_the_project(api: Api) -> None:
    spec = {"name": "kept", "description": "from the project"}
    project_id = await api.new_project(api.admin, spec=spec)
    await start(api, "/engineering", project_id)
    await start(api, "/engineering", project_id, request_id="r-2", wish="from the wish")
    await start(
        api, "/engineering", project_id, request_id="r-3", wish="w", spec={**spec, "description": "from the body"}
    )
    descriptions = [message.spec.description for message in api.gateway.started]
    assert descriptions == ["from the project", "from the wish", "from the body"]
    assert len({message.spec.name for message in api.gateway.started}) == 1
    nothing = await start(api, "/engineering", await api.new_project(api.admin), wish="  ")
    assert (nothing.status_code, nothing.json()["code"]) == (422, "INVALID_INPUT")


async def test_an_archived_project_starts_nothing(api: Api, project_id: str) -> None:
    await api.http.patch(f"/projects/{project_id}", json={"archived": True}, headers=api.admin)
    for path in ("/engineering", "/deliveries", "/deploys"):
        reply = await start(api, path, project_id, **({} if path == "/deploys" else {"wish": "x"}))
        assert (reply.status_code, reply.json()["code"]) == (409, "CONFLICT")
    assert api.gateway.started == []


async def test_a_rollback_names_a_release_of_the_same_project(api: Api, project_id: str) -> None:
    theirs = release(await api.new_project(api.admin))
    await api.http.put("/internal/releases", json=theirs, headers=api.platform)
    reply = await start(api, "/deploys", project_id, action="rollback", release_id=theirs["id"])
    assert (reply.status_code, reply.json()["code"]) == (404, "NOT_FOUND")
    reply = await start(api, "/deploys", project_id, action="deploy", release_id=theirs["id"])
    assert reply.status_code == 422


async def test_a_rollback_with_nothing_earlier_is_refused_before_it_starts(api: Api, project_id: str) -> None:
    async def recorded(one: dict[str, Any], state: str) -> None:
        reply = await api.http.put("/internal/releases", json={**one, "state": state}, headers=api.platform)
        assert reply.status_code == 200, reply.text

    async def refused(**fields: Any) -> bool:
        reply = await start(api, "/deploys", project_id, action="rollback", **fields)
        assert reply.status_code == 202 or reply.json()["code"] == "NOTHING_TO_ROLL_BACK", reply.text
        return bool(reply.status_code == 409)

    first, second = release(project_id), release(project_id)
    assert await refused()
    await recorded(first, "pending")
    for state in ("building", "starting", "probing", "active"):
        await recorded(first, state)
    assert await refused(), "the only one that served is the one that serves"
    assert await refused(release_id=first["id"])
    await recorded(second, "pending")
    assert not await refused(), "what is on its way may take over before the rollback has its turn"
    for state in ("building", "starting", "probing", "active"):
        await recorded(second, state)
    assert not await refused()
    assert not await refused(release_id=first["id"])
    assert await refused(release_id=second["id"])


async def test_before_its_first_projection_a_task_is_asked_of_temporal(api: Api) -> None:
    _, owner = await api.new_user()
    project_id = await api.new_project(owner)
    for path, kind in (("/engineering", "engineering"), ("/deliveries", "delivery"), ("/deploys", "deploy")):
        started = (await start(api, path, project_id, owner, **({} if kind == "deploy" else {"wish": "x"}))).json()
        url = f"/tasks/{started['task_id']}"
        assert (await api.http.get(url, headers=owner)).status_code == 404
        api.gateway.described[started["workflow_id"]] = WorkflowDescription(
            workflow_id=started["workflow_id"], run_id="run-9", type=kind, status="running",
            project_id=project_id, task_id=started["task_id"], started_at="2026-01-01T00:00:00+00:00",
        )  # fmt: skip
        shown = (await api.http.get(url, headers=owner)).json()
        assert (shown["state"], shown["kind"], shown["run_id"]) == ("running", kind, "run-9")
        assert (await api.http.get(f"{url}/events", headers=owner)).json() == {"items": []}
        _, stranger = await api.new_user()
        await api.new_project(stranger)
        assert (await api.http.get(url, headers=stranger)).status_code == 404
        assert (await api.http.post(f"{url}/cancel", headers=owner)).status_code == 202
        if kind == "deploy":
            assert api.gateway.withdrawn[-1].task_id == started["task_id"], "others of the project wait in its run"
        else:
            assert api.gateway.cancelled[-1] == started["workflow_id"]


async def test_a_running_deploy_of_another_task_is_not_taken_for_this_one(api: Api, project_id: str) -> None:
    workflow_id = deploy_workflow_id(await api.slug(project_id))
    api.gateway.described[workflow_id] = WorkflowDescription(
        workflow_id=workflow_id, run_id="r", type="deploy", status="running", project_id=project_id, task_id="dep-other"
    )
    assert (await api.http.get("/tasks/dep-123456789012", headers=api.admin)).status_code == 404


async def test_of_a_deploy_only_the_task_that_is_meant_is_taken_back(api: Api, project_id: str) -> None:
    body = {"request_id": "one-of-two", "project_id": project_id, "commit": "a" * 40}
    started = (await api.http.post("/deploys", json=body, headers=api.admin)).json()
    await api.project_task(
        started["task_id"], project_id, seq=1, kind="deploy", workflow_id=started["workflow_id"], state="queued"
    )
    reply = await api.http.post(f"/tasks/{started['task_id']}/cancel", headers=api.admin)
    assert reply.status_code == 202, reply.text
    message = api.gateway.withdrawn[-1]
    assert (message.task_id, message.project_id) == (started["task_id"], project_id)
    assert api.gateway.withdrawn_from[-1] == started["workflow_id"] == f"deploy/{await api.slug(project_id)}"
    assert started["workflow_id"] not in api.gateway.cancelled, "others of the project wait in it"


async def test_a_cancel_reaches_the_workflow_and_a_closed_task_has_nothing_to_cancel(api: Api, project_id: str) -> None:
    task_id = await api.new_task(project_id)
    assert (await api.http.post(f"/tasks/{task_id}/cancel", headers=api.admin)).status_code == 202
    assert api.gateway.cancelled == [f"engineering/{task_id}"]
    await api.project_task(task_id, project_id, seq=5, state="cancelled")
    reply = await api.http.post(f"/tasks/{task_id}/cancel", headers=api.admin)
    assert (reply.status_code, reply.json()["code"]) == (409, "WORKFLOW_NOT_RUNNING")


async def answer(api: Api, question_id: str, headers: Headers | None = None, **fields: object) -> httpx.Response:
    body = {"answer_id": "a-1", "text": "yes", **fields}
    return await api.http.post(f"/questions/{question_id}/answer", json=body, headers=headers or api.admin)


async def test_an_answer_goes_to_the_workflow_that_asked_and_a_repetition_is_the_same_answer(
    api: Api, project_id: str
) -> None:
    task_id = await api.new_task(project_id)
    question_id = await api.new_question(task_id, project_id)
    for _ in range(3):
        assert (await answer(api, question_id, plan_hash="h")).json()["accepted"] is True
    [(workflow_id, command, update_id)] = api.gateway.answers
    assert (workflow_id, update_id, command.text, command.plan_hash) == (f"engineering/{task_id}", "a-1", "yes", "h")
    assert command.actor.user_id == 1
    second = await answer(api, question_id, answer_id="a-2")
    assert (second.status_code, second.json()["code"]) == (409, "QUESTION_CLOSED")


async def test_what_the_workflow_refuses_is_refused_and_can_be_answered_again(api: Api, project_id: str) -> None:
    question_id = await api.new_question(await api.new_task(project_id), project_id)
    api.gateway.refusal = OrchestratorError(ErrorCode.QUESTION_WRONG_CHOICE, "Choose one of: a, b.")
    reply = await answer(api, question_id)
    assert (reply.status_code, reply.json()["detail"]) == (422, "Choose one of: a, b.")
    api.gateway.refusal = None
    assert (await answer(api, question_id)).status_code == 200


async def test_secrets_of_an_answer_are_stored_and_never_reach_the_workflow(api: Api, project_id: str) -> None:
    question_id = await api.new_question(
        await api.new_task(project_id), project_id, kind="secret", secret_names=["BOT_TOKEN"]
    )
    value = f"token-{uuid4().hex}"
    unasked = await answer(api, question_id, secrets={"OTHER": value})
    assert unasked.status_code == 422
    reply = await answer(api, question_id, text="", secrets={"BOT_TOKEN": value})
    assert reply.status_code == 200
    [(_, command, _)] = api.gateway.answers
    assert command.secret_stored
    assert value not in command.model_dump_json()
    names = (await api.http.get(f"/internal/projects/{project_id}/secrets", headers=api.platform)).json()
    assert names == {"present": ["BOT_TOKEN"]}


async def test_a_closed_question_takes_neither_answer_nor_secret(api: Api, project_id: str) -> None:
    task_id = await api.new_task(project_id)
    question_id = await api.new_question(task_id, project_id, kind="secret", secret_names=["X"], state="withdrawn")
    reply = await answer(api, question_id, secrets={"X": "v"})
    assert (reply.status_code, reply.json()["code"]) == (409, "QUESTION_CLOSED")
    assert await api.rows("SELECT 1 FROM secrets WHERE project_id = $1", project_id) == []


async def test_tasks_are_listed_by_project_state_and_kind(api: Api, project_id: str) -> None:
    running = await api.new_task(project_id)
    failed = await api.new_task(project_id, state="failed")

    async def listed(query: str) -> list[str]:
        reply = await api.http.get(f"/tasks?project_id={project_id}{query}", headers=api.admin)
        return [item["id"] for item in reply.json()["items"]]

    assert await listed("") == [failed, running]
    assert await listed("&state=failed&kind=engineering") == [failed]
    assert await listed("&kind=deploy") == []
    assert await listed("&limit=1") == [failed]


async def test_without_temporal_everything_but_work_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    settings = Settings(home=tmp_path / "home", temporal_port=any_free())
    url = await new_database()
    await migrate.upgrade(url)
    keys = await bootstrap(settings, url)
    headers = bearer(private_files.read(keys.admin_key_file).strip())
    app = create_app(settings, database_url=url)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=settings.api_url) as http,
    ):
        health = (await http.get("/health")).json()
        assert (health["status"], health["database"], health["temporal"]) == ("degraded", True, False)
        created = await http.post("/projects", json={"id": "p-1", "name": "blog"}, headers=headers)
        assert created.status_code == 201
        reply = await http.post(
            "/engineering", json={"request_id": "r", "project_id": "p-1", "wish": "x"}, headers=headers
        )
        assert (reply.status_code, reply.json()["code"]) == (503, "TEMPORAL_UNREACHABLE")


async def test_the_typed_client_and_the_api_understand_each_other(api: Api, project_id: str) -> None:
    admin_key = api.admin["Authorization"].removeprefix("Bearer ")
    platform_key = api.platform["Authorization"].removeprefix("Bearer ")
    async with served(api.app) as url, ApiClient(url, admin_key) as person, ApiClient(url, platform_key) as platform:
        assert (await person.health()).database
        assert (await person.whoami()).actor.role == "admin"
        created = await person.create_user(UserCreate(user_id=uuid4().int % 2**50 + 5))
        assert created.user in await person.users()
        assert (await person.create_token(TokenRequest(project_id=project_id, commands=["task.show"]))).token
        made = await person.create_project(ProjectCreate(id=f"p-{uuid4().hex}", name=f"n{uuid4().hex[:8]}"))
        assert made.id in {item.id for item in await person.projects(include_archived=True)}
        assert (await person.project(project_id)).project.id == project_id

        task_id = f"eng-{uuid4().hex[:12]}"
        question = question_document(task_id, project_id)
        first = projection(task_id, project_id, seq=1, question=question)
        assert (await platform.apply_projection(Projection.model_validate(first))).accepted
        await platform.post_events(task_id, [FineEvent.model_validate(fine_event("k"))])
        assert [item.id for item in await person.questions(project_id=project_id)] == [question["id"]]
        assert (await person.answer(question["id"], AnswerRequest(answer_id="a", text="yes"))).accepted
        assert (await person.cancel_task(task_id)).task_id == task_id
        last = projection(task_id, project_id, seq=2, state="completed", milestone=milestone("done", "completed"))
        await platform.apply_projection(Projection.model_validate(last))
        assert [event.event.message async for event in person.watch(task_id)] == ["k", "done"]
        assert len(await person.events(task_id, after=1)) == 1

        await platform.generate_secrets(project_id, ["KEY"])
        assert await platform.secret_names(project_id) == ["KEY"]
        [item] = await person.secrets(project_id)
        assert len((await platform.reveal_secrets([item.ref]))[item.ref]) >= 32
        assert (await platform.allocate_ports(project_id, ["backend"])).server_handle == "local"
        recorded = await platform.record_release(DeploymentRecord.model_validate(release(project_id)))
        assert await platform.releases(project_id) == [recorded]
        assert (await person.servers())[0].handle == "local"
        with pytest.raises(OrchestratorError, match="no project") as caught:
            await person.project("nowhere")
        assert caught.value.code is ErrorCode.NOT_FOUND
