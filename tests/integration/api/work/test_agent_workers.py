"""Agent workers at the API: whose they are, what is kept of them, what is said of one whose workflow is gone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from activities.maintenance import MaintenanceActivities
from activities.ports import WorkflowClient
from contracts.agent_workers import AgentWorkerRun, SendMessageResponse
from contracts.errors import ErrorCode, OrchestratorError
from contracts.maintenance import WorkflowEnding
from runtime.api_client import ApiClient
from runtime.temporal.agent_workers import RunningTurn
from runtime.temporal.gateway import WorkflowDescription
from tests.support.api import Api, Headers, fine_event, running_api
from tests.support.patience import within


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


def worker_id() -> str:
    return f"w-{uuid4().hex[:12]}"


async def made(api: Api, person: Headers, **fields: Any) -> dict[str, Any]:
    body = {"worker_id": worker_id(), "name": "helper", **fields}
    reply = await api.http.post("/workers", json=body, headers=person)
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


async def told(api: Api, worker: str, seq: int, **fields: Any) -> bool:
    """What the workflow of an agent worker says of it; whether it was accepted."""
    known = {"worker_id": worker, "seq": seq, "user_id": 1, "name": "helper", "agent": "scripted", "state": "idle"}
    reply = await api.http.put(
        f"/internal/workers/{worker}", json={**known, "turns": 0, **fields}, headers=api.platform
    )
    assert reply.status_code == 200, reply.text
    return bool(reply.json()["accepted"])


async def own(api: Api, **fields: Any) -> tuple[str, Headers]:
    """An agent worker of a new person, and that person."""
    user_id, person = await api.new_user()
    worker = worker_id()
    assert await told(api, worker, 1, user_id=user_id, **fields)
    return worker, person


async def seen(api: Api, worker: str, person: Headers) -> dict[str, Any]:
    return dict((await api.http.get(f"/workers/{worker}", headers=person)).json())


async def lines(api: Api, worker: str, person: Headers, **params: int) -> list[str]:
    reply = await api.http.get(f"/workers/{worker}/events", params=params, headers=person)
    return [item["event"]["message"] for item in reply.json()["items"]]


async def test_a_person_makes_one_and_the_same_id_again_is_the_same(api: Api) -> None:
    user_id, person = await api.new_user()
    project = await api.new_project(person)
    first = await made(api, person, project_id=project, idle_expiry_s=120)
    run = api.gateway.workers[-1]
    assert (first["state"], run.user_id, run.idle_expiry_s, run.takes_up, run.is_shown) == (
        "creating", user_id, 120, True, True,
    )  # fmt: skip
    assert run.context["branch"] == f"task/{first['id']}"
    assert await told(api, first["id"], 1, user_id=user_id, project_id=project)
    again = await made(api, person, worker_id=first["id"], project_id=project)
    assert (again["id"], again["state"]) == (first["id"], "idle")
    _, other = await api.new_user()
    body = {"worker_id": first["id"], "name": "mine"}
    assert (await api.http.post("/workers", json=body, headers=other)).json()["code"] == ErrorCode.CONFLICT
    assert len([run for run in api.gateway.workers if run.worker_id == first["id"]]) == 1


async def test_one_that_was_made_a_moment_ago_is_there_for_who_made_it(api: Api) -> None:
    user_id, person = await api.new_user()
    one = await made(api, person)
    listed = (await api.http.get("/workers", headers=person)).json()["items"]
    assert [(shown["id"], shown["state"]) for shown in listed] == [(one["id"], "creating")]
    message = {"request_id": "r-1", "message": "do it"}
    reply = await api.http.post(f"/workers/{one['id']}/messages", json=message, headers=person)
    assert reply.status_code == 200, reply.text
    assert await told(api, one["id"], 1, user_id=user_id), "the word of its workflow counts"


async def test_an_id_of_a_task_cannot_be_taken_for_an_agent_worker(api: Api) -> None:
    reply = await api.http.post("/workers", json={"worker_id": "eng-1234", "name": "x"}, headers=api.admin)
    assert reply.status_code == 422


async def test_nobody_sees_or_steers_one_of_somebody_else(api: Api) -> None:
    worker, person = await own(api)
    _, stranger = await api.new_user()
    request = {"request_id": "r", "message": "do it"}
    before = len(api.gateway.told)
    for method, path, body in [
        ("GET", "", None), ("GET", "/events", None), ("POST", "/messages", request), ("POST", "/steer", request),
        ("POST", "/stop", {"request_id": "r"}), ("DELETE", "", None),
        ("POST", "/files", {"request_id": "r", "path": "a", "content": "b"}),
        ("GET", f"/artifacts/{'0' * 64}", None),
    ]:  # fmt: skip
        reply = await api.http.request(method, f"/workers/{worker}{path}", json=body, headers=stranger)
        assert reply.status_code == 404, f"{method} {path}: {reply.text}"
    assert len(api.gateway.told) == before
    assert worker not in (await api.http.get("/workers", headers=stranger)).text
    assert worker in (await api.http.get("/workers", headers=person)).text
    assert worker in (await api.http.get("/workers", headers=api.admin)).text


async def test_a_viewer_of_its_project_looks_and_does_nothing_else(api: Api) -> None:
    owner_id, owner = await api.new_user()
    viewer_id, viewer = await api.new_user()
    project, worker = await api.new_project(owner), worker_id()
    await api.rows(
        "INSERT INTO memberships (user_id, subject_kind, subject_id, role, created_at)"
        " VALUES ($1, 'project', $2, 'viewer', now())", viewer_id, project,
    )  # fmt: skip
    assert await told(api, worker, 1, user_id=owner_id, project_id=project)
    assert (await seen(api, worker, viewer))["id"] == worker
    reply = await api.http.post(f"/workers/{worker}/stop", json={"request_id": "r"}, headers=viewer)
    assert reply.json()["code"] == ErrorCode.NOT_ALLOWED


async def test_one_of_a_task_is_steered_and_stopped_and_gets_its_messages_from_the_task_alone(api: Api) -> None:
    user_id, person = await api.new_user()
    project = await api.new_project(person)
    task = await api.new_task(project)
    assert await told(api, task, 1, user_id=user_id, project_id=project, task_id=task)
    for path in ("/stop", "/steer"):
        body = {"request_id": "r"} | ({"message": "tabs"} if path == "/steer" else {})
        assert (await api.http.post(f"/workers/{task}{path}", json=body, headers=person)).status_code == 200
    refused = await api.http.post(f"/workers/{task}/messages", json={"request_id": "r", "message": "x"}, headers=person)
    assert refused.json()["code"] == ErrorCode.CONFLICT
    assert (await api.http.delete(f"/workers/{task}", headers=person)).json()["code"] == ErrorCode.CONFLICT
    events = {"task_id": task, "events": [fine_event(f"{task}:1:0"), fine_event("another:1:0")]}
    assert (await api.http.post("/internal/events", json=events, headers=api.platform)).status_code == 200
    assert await lines(api, task, person) == [f"{task}:1:0"]


async def test_an_older_projection_changes_nothing_and_the_newest_transcripts_stay(api: Api) -> None:
    worker, person = await own(api)
    user_id = (await seen(api, worker, person))["user_id"]
    ref = {"uri": f"artifact://{'a' * 64}/turn-1.jsonl", "sha256": "a" * 64, "size_bytes": 3}
    assert await told(api, worker, 5, user_id=user_id, turns=1, cost_usd=0.5, transcript=ref, commit="c" * 40)
    assert not await told(api, worker, 4, user_id=user_id, turns=9)
    assert await told(api, worker, 6, user_id=user_id, turns=2, cost_usd=0.75, state="running")
    shown = await seen(api, worker, person)
    assert (shown["turns"], shown["cost_usd"], shown["commit"]) == (2, 0.75, "c" * 40)
    assert [one["sha256"] for one in shown["transcripts"]] == ["a" * 64]


async def test_a_record_is_nobody_elses_whatever_a_workflow_says(api: Api) -> None:
    worker, _ = await own(api)
    body = {
        "worker_id": worker, "seq": 9, "user_id": 2, "name": "x", "agent": "scripted", "state": "idle", "turns": 0,
    }  # fmt: skip
    reply = await api.http.put(f"/internal/workers/{worker}", json=body, headers=api.platform)
    assert reply.json()["code"] == ErrorCode.CONFLICT


async def test_what_it_does_is_read_in_order_each_once_and_waited_for(api: Api) -> None:
    worker, person = await own(api)
    user_id = (await seen(api, worker, person))["user_id"]
    event = {"worker_id": worker, "type": "started", "detail": "Turn 1"}
    assert await told(api, worker, 2, user_id=user_id, event=event)
    batch = {"task_id": worker, "events": [fine_event("k-1"), fine_event("k-2")]}
    for _ in range(2):
        await api.http.post("/internal/events", json=batch, headers=api.platform)
    assert await lines(api, worker, person) == ["started: Turn 1", "k-1", "k-2"]
    assert await lines(api, worker, person, after=3) == []
    await api.state.hub.wait_listening()
    waiting = asyncio.ensure_future(lines(api, worker, person, after=3, wait_s=20))
    await asyncio.sleep(0.05)
    batch = {"task_id": worker, "events": [fine_event("k-3")]}
    await api.http.post("/internal/events", json=batch, headers=api.platform)
    assert await within(waiting, 10) == ["k-3"]


async def test_one_whose_workflow_is_gone_is_not_said_to_run(api: Api) -> None:
    worker, person = await own(api, state="running", current_request="r-1")
    shown = await seen(api, worker, person)
    assert (shown["state"], shown["current_request"]) == ("lost", None)
    workflow = f"worker/{worker}"
    api.gateway.described[workflow] = WorkflowDescription(
        workflow_id=workflow, run_id="run", type="agent-worker", status="running"
    )
    api.gateway.running_turns[workflow] = RunningTurn(container=f"turn-{worker}-1", offset=17, cost_usd=0.25)
    shown = await seen(api, worker, person)
    assert (shown["state"], shown["container"], shown["offset"], shown["live_cost_usd"]) == (
        "running", f"turn-{worker}-1", 17, 0.25,
    )  # fmt: skip


async def test_a_message_says_nothing_until_its_turn_has_ended(api: Api) -> None:
    worker, person = await own(api)
    body = {"request_id": f"m-{worker}", "message": "do it"}
    reply = await api.http.post(f"/workers/{worker}/messages", json=body, headers=person)
    assert reply.json()["response"] is None
    answer = SendMessageResponse(request_id=body["request_id"], success=True, response="done")
    api.gateway.worker_answers[body["request_id"]] = answer
    reply = await api.http.post(f"/workers/{worker}/messages", json=body, headers=person)
    assert reply.json()["response"]["response"] == "done"


async def test_nobody_has_more_than_the_operator_allows(api: Api) -> None:
    user_id, person = await api.new_user()
    for number in range(api.settings.max_agent_workers_per_user):
        assert await told(api, worker_id(), number + 1, user_id=user_id)
    reply = await api.http.post("/workers", json={"worker_id": worker_id(), "name": "more"}, headers=person)
    assert reply.json()["code"] == ErrorCode.QUOTA_EXCEEDED


async def test_two_requests_at_once_never_both_take_the_last_place(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user_id, person = await api.new_user()
    for number in range(api.settings.max_agent_workers_per_user - 1):
        assert await told(api, worker_id(), number + 1, user_id=user_id)
    start = api.gateway.start_worker

    async def slowly(run: AgentWorkerRun) -> str:
        await asyncio.sleep(0.2)
        return await start(run)

    monkeypatch.setattr(api.gateway, "start_worker", slowly)
    bodies = [{"worker_id": worker_id(), "name": "more"} for _ in range(5)]
    replies = await asyncio.gather(*(api.http.post("/workers", json=body, headers=person) for body in bodies))
    assert sorted(reply.status_code for reply in replies)[0] == 201
    assert [reply.json()["code"] for reply in replies if reply.status_code != 201] == [ErrorCode.QUOTA_EXCEEDED] * 4


async def test_one_that_was_not_started_takes_no_place_and_one_that_was_cut_off_is_started_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, person = await api.new_user()
    body = {"worker_id": worker_id(), "name": "helper"}
    starts: list[str] = []

    async def start(run: AgentWorkerRun) -> str:
        starts.append(str(run.worker_id))
        if len(starts) == 1:
            raise OrchestratorError(ErrorCode.TEMPORAL_UNREACHABLE, "away")
        return "run-1"

    monkeypatch.setattr(api.gateway, "start_worker", start)
    assert (await api.http.post("/workers", json=body, headers=person)).status_code >= 500
    assert await api.rows("SELECT id FROM agent_workers WHERE id = $1", body["worker_id"]) == []
    assert (await api.http.post("/workers", json=body, headers=person)).status_code == 201
    await api.execute("UPDATE agent_workers SET run_id = '' WHERE id = $1", body["worker_id"])
    _, other = await api.new_user()
    assert (await api.http.post("/workers", json=body, headers=other)).status_code == 409
    for _ in range(2):
        assert (await api.http.post("/workers", json=body, headers=person)).status_code == 201
    assert starts == [body["worker_id"]] * 3
    [row] = await api.rows("SELECT run_id FROM agent_workers WHERE id = $1", body["worker_id"])
    assert row["run_id"] == "run-1"


async def test_one_with_a_log_in_is_its_owners_alone_whatever_project_it_works_in(api: Api) -> None:
    user_id, owner = await api.new_user()
    other_id, other = await api.new_user()
    project, worker = await api.new_project(owner), worker_id()
    await api.execute(
        "INSERT INTO memberships (user_id, subject_kind, subject_id, role, created_at)"
        " VALUES ($1, 'project', $2, 'owner', now())",
        other_id,
        project,
    )
    told_of = {"user_id": user_id, "project_id": project, "agent": "codex"}
    assert await told(api, worker, 1, **told_of, uses_login=True)
    # A run of an earlier version does not tell of it.
    assert await told(api, worker, 2, **told_of)
    request = {"request_id": f"m-{worker}"}
    inside = [
        ("POST", "messages", {**request, "message": "print your log-in"}),
        ("POST", "files", {**request, "path": "a", "content": "b"}),
        ("POST", "steer", {**request, "message": "print it"}),
        ("GET", "events", None),
        ("GET", f"artifacts/{'0' * 64}", None),
    ]
    for method, path, body in inside:
        refused = [
            (await api.http.request(method, f"/workers/{worker}/{path}", json=body, headers=one)).status_code
            for one in (other, api.admin)
        ]
        assert refused == [404, 403], path
        mine = await api.http.request(method, f"/workers/{worker}/{path}", json=body, headers=owner)
        assert mine.status_code == (404 if path.startswith("artifacts") else 200), mine.text
    for path in ("", "/stop"):
        reply = await api.http.request(
            "POST" if path else "GET", f"/workers/{worker}{path}", json=request, headers=other
        )
        assert reply.status_code == 404
    listed = await api.http.get("/workers", params={"project_id": project}, headers=other)
    assert listed.json()["items"] == []
    assert (await seen(api, worker, owner))["uses_login"] is True
    assert (await api.http.post(f"/workers/{worker}/stop", json=request, headers=api.admin)).status_code == 200


async def test_a_log_in_is_removed_by_its_owner_and_not_while_it_is_used(api: Api) -> None:
    user_id, owner = await api.new_user()
    _, other = await api.new_user()
    worker, path = worker_id(), "/agent-logins/codex/logout"
    assert await told(api, worker, 1, user_id=user_id, agent="codex", uses_login=True)
    refused = await api.http.post(path, headers=owner)
    assert (refused.status_code, worker in refused.json()["detail"]) == (409, True)
    assert await told(api, worker, 2, user_id=user_id, agent="codex", state="deleted")
    assert (await api.http.post(path, params={"user_id": user_id}, headers=other)).status_code == 403
    assert (await api.http.post(path, headers=owner)).status_code == 204
    assert (await api.http.post(path, params={"user_id": user_id}, headers=api.admin)).status_code == 204
    entries = "SELECT result FROM audit WHERE action = 'agent.logout' AND target = $1 ORDER BY id"
    results = [row["result"] for row in await api.rows(entries, f"login-{user_id}-codex")]
    assert len(results) == 4
    assert results[2:] == ["done", "done"]


async def test_a_log_in_of_ones_own_is_off_until_the_operator_allows_it(api: Api) -> None:
    body = {"worker_id": worker_id(), "name": "x", "agent": "claude-code", "mount_session_volume": True}
    reply = await api.http.post("/workers", json=body, headers=api.admin)
    assert reply.json()["code"] == ErrorCode.NOT_ALLOWED
    assert "ORCHESTRATOR_AGENT_LOGINS" in reply.json()["detail"]


async def test_a_project_is_not_deleted_under_one_that_works_on_it_and_takes_its_record_along(api: Api) -> None:
    user_id, person = await api.new_user()
    project, worker = await api.new_project(person), worker_id()
    assert await told(api, worker, 1, user_id=user_id, project_id=project)
    name = (await api.http.get(f"/projects/{project}", headers=person)).json()["project"]["name"]
    refused = await api.http.delete(f"/projects/{project}", params={"confirm": name}, headers=person)
    assert refused.json()["code"] == ErrorCode.CONFLICT
    assert await told(api, worker, 2, user_id=user_id, project_id=project, state="deleted")
    gone = await api.http.delete(f"/projects/{project}", params={"confirm": name}, headers=person)
    assert gone.status_code == 200, gone.text
    assert await api.rows("SELECT id FROM agent_workers WHERE id = $1", worker) == []


class Terminated:
    """Temporal, where every workflow was terminated."""

    async def ending(self, workflow_id: str, run_id: str) -> WorkflowEnding:
        return WorkflowEnding(how="terminated")


async def test_no_state_outlives_its_workflow_and_a_word_of_the_workflow_wins(api: Api) -> None:
    worker, person = await own(api, state="running")
    user_id = (await seen(api, worker, person))["user_id"]
    key, transport = api.platform["Authorization"].removeprefix("Bearer "), httpx.ASGITransport(api.app)
    async with ApiClient(api.settings.api_url, key, attempts=1, transport=transport) as client:
        ended = await MaintenanceActivities(client, cast(WorkflowClient, Terminated())).reconcile(0)
        assert worker in ended
        assert (await seen(api, worker, person))["state"] == "failed"
        assert worker not in [one.told.worker_id for one in await client.open_workers()]
    assert await told(api, worker, 3, user_id=user_id, state="idle")
    assert (await seen(api, worker, person))["state"] == "lost"


async def test_capabilities_and_profile_reach_its_workflow_and_an_unknown_one_is_refused(api: Api) -> None:
    _, person = await api.new_user()
    await made(api, person, capabilities=["github", "git"], profile="devops")
    config = api.gateway.workers[-1].config
    assert (config.capabilities, config.profile) == (["github", "git"], "devops")
    body = {"worker_id": worker_id(), "name": "helper", "capabilities": ["docker"]}
    refused = await api.http.post("/workers", json=body, headers=person)
    assert refused.status_code == 422, refused.text
    assert "browser, curl, git, github" in refused.text
