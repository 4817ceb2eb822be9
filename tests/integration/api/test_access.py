"""Who may do what: owners, admins, agents' tokens and the platform."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from api import auth
from runtime.runtime_report import RuntimeReport
from tests.support.api import Api, Headers, bearer, fine_event, projection, release, running_api
from tests.unit.api.test_openapi import PUBLIC, access_rules, routes


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@dataclass(frozen=True)
class Belongings:
    """One thing of each kind that belongs to `owner`."""

    owner: Headers
    project_id: str
    task_id: str
    question_id: str
    release_id: str
    sha256: str
    worker_id: str

    def paths(self) -> dict[str, str]:
        return {
            "project_id": self.project_id,
            "task_id": self.task_id,
            "question_id": self.question_id,
            "release_id": self.release_id,
            "sha256": self.sha256,
            "worker_id": self.worker_id,
            "approval_id": "x1",
            "name": "REPORT",
            "handle": "local",
            "user_id": "1",
            "agent": "codex",
            "screen_id": "x1",
            "update_id": "x1",
            "credential_id": "x1",
            "slug": "x1",
            "service": "git-upload-pack",
        }


async def belongings(api: Api) -> Belongings:
    user_id, owner = await api.new_user()
    project_id = await api.new_project(owner, description="A list of books")
    content = uuid4().hex.encode()
    ref = await api.state.artifacts.put("REPORT", content)
    task_id = await api.new_task(project_id, artifacts=[ref.model_dump()])
    question_id = await api.new_question(task_id, project_id)
    recorded = release(project_id)
    await api.http.put("/internal/releases", json=recorded, headers=api.platform)
    await api.http.put(f"/projects/{project_id}/secrets/REPORT", json={"value": "v"}, headers=owner)
    worker = agent_worker(user_id, project_id, transcript=ref.model_dump())
    told = await api.http.put(f"/internal/workers/{worker['worker_id']}", json=worker, headers=api.platform)
    assert told.json()["accepted"], told.text
    return Belongings(owner, project_id, task_id, question_id, recorded["id"], ref.sha256, worker["worker_id"])


def agent_worker(user_id: int, project_id: str, **fields: Any) -> dict[str, Any]:
    """What the workflow of an agent worker tells of it."""
    known = {"worker_id": f"w-{uuid4().hex[:12]}", "user_id": user_id, "project_id": project_id, "seq": 1, "turns": 0}
    return {**known, "name": "helper", "agent": "scripted", "state": "idle", **fields}


def valid_body(path: str, project_id: str) -> dict[str, object] | None:
    request = {"request_id": uuid4().hex, "project_id": project_id}
    bodies: dict[str, dict[str, object]] = {
        "/engineering": {**request, "wish": "x"},
        "/deliveries": {**request, "wish": "x"},
        "/deploys": request,
        "/tokens": {"project_id": project_id, "commands": ["task.show"]},
        "/projects/{project_id}": {"title": "changed"},
        "/projects/{project_id}/memory": {"text": "stolen"},
        "/projects/{project_id}/transfer": {"user_id": 1},
        "/projects/{project_id}/secrets/{name}": {"value": "stolen"},
        "/projects/{project_id}/settings/{name}": {"value": True},
        "/questions/{question_id}/answer": {"answer_id": uuid4().hex, "text": "yes"},
        "/tasks/{task_id}/retry": {},
        "/workers": {"worker_id": f"w-{uuid4().hex[:12]}", "name": "helper", "project_id": project_id},
        "/workers/{worker_id}/messages": {"request_id": uuid4().hex, "message": "do it"},
        "/workers/{worker_id}/steer": {"request_id": uuid4().hex, "message": "do it"},
        "/workers/{worker_id}/files": {"request_id": uuid4().hex, "path": "a", "content": "b"},
        "/workers/{worker_id}/stop": {"request_id": uuid4().hex},
        "/workers/{worker_id}/budget": {"request_id": uuid4().hex, "add_usd": 1},
    }
    return bodies.get(path)


SCOPED = ("{project_id}", "{task_id}", "{question_id}", "{release_id}", "{sha256}", "{worker_id}")
STARTS = {"/engineering", "/deliveries", "/deploys", "/tokens", "/workers"}


async def test_on_every_route_another_owners_thing_answers_like_an_unknown_one(api: Api) -> None:
    theirs, mine = await belongings(api), await belongings(api)
    before = await api.rows("SELECT * FROM projects ORDER BY id")
    tried = 0
    for route in routes(api.app):
        scoped = any(part in route.path for part in SCOPED) or route.path in STARTS
        if route.path.startswith("/internal") or not scoped:
            continue
        # A list has only what is the caller's: the next test.
        for method in route.methods - ({"GET", "HEAD"} if route.path in STARTS else {"HEAD"}):
            body = valid_body(route.path, theirs.project_id)
            known = await api.http.request(method, route.path.format(**theirs.paths()), json=body, headers=mine.owner)
            unknown_ids = {name: f"unknown-{uuid4().hex[:8]}" for name in theirs.paths()}
            unknown_ids |= {"sha256": "0" * 64, "name": "REPORT"}
            unknown = await api.http.request(
                method,
                route.path.format(**unknown_ids),
                json=valid_body(route.path, unknown_ids["project_id"]),
                headers=mine.owner,
            )
            assert known.status_code == unknown.status_code == 404, (method, route.path, known.text, unknown.text)
            assert known.json()["code"] == unknown.json()["code"] == "NOT_FOUND"
            tried += 1
    assert tried >= 28
    assert await api.rows("SELECT * FROM projects ORDER BY id") == before
    assert api.gateway.started == api.gateway.answers == api.gateway.cancelled == []
    assert api.gateway.workers == api.gateway.told == []


async def test_lists_show_only_what_is_the_callers(api: Api) -> None:
    theirs, mine = await belongings(api), await belongings(api)
    for path in ("/projects", "/tasks", "/questions", "/workers", "/servers", "/allocations", "/incidents"):
        text = (await api.http.get(path, headers=mine.owner)).text
        everything = (await api.http.get(path, headers=api.admin)).text
        assert theirs.project_id not in text, path
        if path in {"/projects", "/tasks", "/questions", "/workers"}:
            assert mine.project_id in text, path
            assert theirs.project_id in everything, path
            assert mine.project_id in everything, path


async def test_an_admin_sees_the_projects_of_others(api: Api) -> None:
    theirs = await belongings(api)
    reply = await api.http.get(f"/projects/{theirs.project_id}", headers=api.admin)
    assert reply.json()["project"]["id"] == theirs.project_id


@pytest.mark.parametrize(
    "header",
    [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer "}, bearer("x"), bearer("user_" + "é" * 43)],
)
async def test_without_a_known_key_every_route_is_closed(api: Api, header: Headers) -> None:
    headers = {name: value.encode("latin-1") for name, value in header.items()}
    for route in routes(api.app):
        if route.path in PUBLIC:
            continue
        path = route.path.format(
            **{
                **dict.fromkeys(re.findall(r"{(\w+)}", route.path), "x1"),
                "sha256": "0" * 64,
                "name": "X",
                "user_id": "3",
            }
        )
        for method in route.methods - {"HEAD"}:
            reply = await api.http.request(method, path, headers=headers)
            assert reply.status_code in {401, 422}, (method, path, reply.text)
            if method == "GET":
                assert reply.status_code == 401, path
                # Git knows passwords only.
                scheme = "Basic" if path.startswith("/git/") else "Bearer"
                assert reply.headers["www-authenticate"].split()[0] == scheme
                assert reply.json()["code"] == "NOT_AUTHENTICATED"


async def test_internal_routes_are_closed_to_everybody_but_the_platform(api: Api) -> None:
    mine = await belongings(api)
    token = await make_token(api, mine, ["task.show"])
    before = await api.rows("SELECT id, seq, last_event_seq FROM tasks ORDER BY id")
    of_task = {"task_id": mine.task_id, "project_id": mine.project_id}
    model_turn = {"worker_id": "w-1", "turn": 1, "agent": "codex", **of_task}
    calls = [
        ("PUT", "/internal/projections", projection(mine.task_id, mine.project_id, seq=99)),
        ("POST", "/internal/events", {"task_id": mine.task_id, "events": [fine_event("k")]}),
        ("POST", "/internal/secrets/reveal", {"refs": [f"secret://projects/{mine.project_id}/REPORT"]}),
        ("POST", f"/internal/projects/{mine.project_id}/secrets/generate", {"names": ["X"]}),
        ("GET", f"/internal/projects/{mine.project_id}/secrets", None),
        ("POST", "/internal/ports", {"project_id": mine.project_id, "services": ["a"]}),
        ("PUT", "/internal/servers", {"handle": "mine", "public_ip": "10.0.0.9"}),
        ("PUT", "/internal/releases", release(mine.project_id)),
        ("POST", "/internal/tokens", {"project_id": mine.project_id, "commands": ["task.show"]}),
        ("GET", f"/internal/projects/{mine.project_id}/egress", None),
        ("GET", f"/internal/projects/{mine.project_id}/checks", None),
        ("PUT", f"/internal/projects/{mine.project_id}/checks/proposed/t", {"written_from": "0" * 64}),
        ("POST", f"/internal/projects/{mine.project_id}/checks/proposed/t/keep", {}),
        ("GET", f"/internal/projects/{mine.project_id}/memory?task_id=t", None),
        ("POST", f"/internal/projects/{mine.project_id}/memory/failures", {"key": "k", "what": "w"}),
        (
            "PUT",
            f"/internal/projects/{mine.project_id}/memory/published",
            {"task_id": "t", "commit": "a" * 40, "text": "t"},
        ),
        ("GET", "/internal/tasks", None),
        ("GET", "/internal/workers", None),
        ("PUT", f"/internal/workers/{mine.worker_id}", agent_worker(1, mine.project_id, seq=99)),
        ("GET", "/internal/releases/active", None),
        ("PUT", f"/internal/releases/{mine.release_id}/health", {"seen_at": "2026-01-01T00:00:00Z", "services": {}}),
        ("POST", "/internal/artifacts/fates", {"items": [mine.sha256]}),
        ("POST", "/internal/tidy", None),
        ("POST", "/internal/model-turns", model_turn),
        ("GET", "/internal/model-turns/w-1/1", None),
        ("POST", "/internal/model-turns/w-1/1/end", None),
        (
            "POST",
            "/internal/model-budgets",
            {"request_id": "r", "scope": "task", "scope_id": mine.task_id, "add_usd": 1, "by": 1},
        ),
        (
            "POST",
            "/internal/cost-estimates",
            {"agent": "codex", **of_task},
        ),
        *of_servers(),
    ]
    assert len(calls) == len([route for route in routes(api.app) if route.path.startswith("/internal")])
    for method, path, body in calls:
        for headers in (mine.owner, api.admin, token):
            reply = await api.http.request(method, path, json=body, headers=headers)
            assert (reply.status_code, reply.json()["code"]) == (403, "NOT_ALLOWED"), path
    assert await api.rows("SELECT id, seq, last_event_seq FROM tasks ORDER BY id") == before


def of_servers() -> list[tuple[str, str, dict[str, Any] | None]]:
    """What only the platform does with servers."""
    ref = {"provider": "local", "server_handle": "local"}
    asked = {"approved": True, "plan_hash": "0" * 64, "actor": {"user_id": 1, "role": "admin", "via": "cli"}}
    key = {"host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII"}
    return [
        ("PUT", "/internal/servers/local/credentials/ROOT_PASSWORD", {"value": "x"}),
        ("POST", "/internal/servers/local/credentials/ROOT_PASSWORD/reveal", None),
        ("POST", "/internal/servers/local/orders", {"ref": ref, "kind": "reset_password", "order_id": "o"}),
        ("POST", "/internal/servers/local/approvals", {"approval_id": "a", "act": "remove"}),
        ("POST", "/internal/servers/local/approvals/a/decision", asked),
        ("PUT", "/internal/servers/local/host-key", key),
        ("PUT", "/internal/servers/local/machine", {"ref": ref}),
        ("POST", "/internal/providers/time4vps/login", None),
    ]


async def test_the_platform_reads_everything_and_acts_for_no_one(api: Api) -> None:
    mine = await belongings(api)
    assert (await api.http.get(f"/projects/{mine.project_id}/releases", headers=api.platform)).status_code == 200
    start = {"request_id": "r", "project_id": mine.project_id, "wish": "x"}
    for path, body in (("/engineering", start), ("/users", {"user_id": 5})):
        assert (await api.http.post(path, json=body, headers=api.platform)).status_code == 403


async def make_token(api: Api, mine: Belongings, commands: list[str]) -> Headers:
    body = {"project_id": mine.project_id, "commands": commands}
    reply = await api.http.post("/tokens", json=body, headers=mine.owner)
    assert reply.status_code == 201, reply.text
    return bearer(reply.json()["token"])


async def test_a_scoped_token_reaches_nothing_outside_its_commands(api: Api) -> None:
    mine = await belongings(api)
    token = await make_token(api, mine, ["task.show"])
    reached = set()
    for route in routes(api.app):
        if route.path in PUBLIC or route.path.startswith("/internal"):
            continue
        path = route.path.format(**mine.paths())
        for method in route.methods - {"HEAD"}:
            body = valid_body(route.path, mine.project_id)
            reply = await api.http.request(method, path, json=body, headers=token)
            if reply.status_code not in {403, 422}:
                reached.add((method, route.path))
    assert reached == {("GET", "/tasks/{task_id}"), ("GET", "/tasks/{task_id}/tree"), ("GET", "/whoami")}
    for commands, asked in ((["task.show"], []), (["task.show", "question.list"], [mine.question_id])):
        token = await make_token(api, mine, commands)
        tree = (await api.http.get(f"/tasks/{mine.task_id}/tree", headers=token)).json()
        assert [question["id"] for question in tree["questions"]] == asked
        token = await make_token(api, mine, ["project.show", *commands])
        project = (await api.http.get(f"/projects/{mine.project_id}", headers=token)).json()
        assert [question["id"] for question in project["open_questions"]] == asked


async def test_a_scoped_token_reaches_nothing_outside_its_project(api: Api) -> None:
    _, owner = await api.new_user()
    project_id = await api.new_project(owner)
    other_id = await api.new_project(owner)
    other_task = await api.new_task(other_id)
    body = {"project_id": project_id, "commands": sorted(auth.AGENT_COMMANDS)}
    token = bearer((await api.http.post("/tokens", json=body, headers=owner)).json()["token"])
    assert (await api.http.get(f"/tasks/{other_task}", headers=owner)).status_code == 200
    assert (await api.http.get(f"/tasks/{other_task}", headers=token)).status_code == 404
    assert (await api.http.get(f"/projects/{other_id}", headers=token)).status_code == 404
    listed = (await api.http.get("/projects", headers=token)).json()["items"]
    assert [project["id"] for project in listed] == [project_id]
    start = {"request_id": "r", "project_id": other_id, "wish": "x"}
    assert (await api.http.post("/engineering", json=start, headers=token)).status_code == 404


async def test_a_token_made_by_an_admin_is_no_admin(api: Api) -> None:
    theirs, mine = await belongings(api), await belongings(api)
    body = {"project_id": mine.project_id, "commands": ["project.show", "task.show"]}
    token = bearer((await api.http.post("/tokens", json=body, headers=api.admin)).json()["token"])
    assert (await api.http.get(f"/projects/{mine.project_id}", headers=token)).status_code == 200
    assert (await api.http.get(f"/projects/{theirs.project_id}", headers=token)).status_code == 404
    assert (await api.http.get("/users", headers=token)).status_code == 403
    assert (await api.http.get("/whoami", headers=token)).json()["actor"]["role"] == "agent"


async def test_a_token_cannot_be_given_what_agents_never_get(api: Api) -> None:
    mine = await belongings(api)
    body = {"project_id": mine.project_id, "commands": ["secret.reveal"]}
    reply = await api.http.post("/tokens", json=body, headers=mine.owner)
    assert (reply.status_code, reply.json()["code"]) == (422, "INVALID_INPUT")


async def test_an_expired_token_is_no_key(api: Api) -> None:
    mine = await belongings(api)
    token = await make_token(api, mine, ["task.show"])
    assert (await api.http.get(f"/tasks/{mine.task_id}", headers=token)).status_code == 200
    await api.rows("UPDATE credentials SET expires_at = now() - interval '1 second' WHERE kind = 'token'")
    assert (await api.http.get(f"/tasks/{mine.task_id}", headers=token)).status_code == 401


async def test_keys_are_stored_as_hashes_only(api: Api) -> None:
    _, owner = await api.new_user()
    key = owner["Authorization"].removeprefix("Bearer ")
    stored = [row["secret_hash"] for row in await api.rows("SELECT secret_hash FROM credentials")]
    assert auth.hash_secret(key) in stored
    assert key not in stored


async def test_a_replaced_key_stops_working(api: Api) -> None:
    user_id, former = await api.new_user()
    reply = await api.http.post(f"/users/{user_id}/keys", headers=api.admin)
    assert (await api.http.get("/whoami", headers=former)).status_code == 401
    assert (await api.http.get("/whoami", headers=bearer(reply.json()["api_key"]))).json()["actor"][
        "user_id"
    ] == user_id


async def test_a_user_is_created_once_and_by_admins_only(api: Api) -> None:
    user_id, member = await api.new_user()
    again = await api.http.post("/users", json={"user_id": user_id}, headers=api.admin)
    assert (again.status_code, again.json()["code"]) == (409, "ALREADY_EXISTS")
    assert (await api.http.post("/users", json={"user_id": 77}, headers=member)).status_code == 403


async def test_every_route_of_the_application_was_walked(api: Api) -> None:
    assert all(access_rules(route) or route.path in {*PUBLIC, "/whoami"} for route in routes(api.app))


@pytest.fixture
async def in_processes(tmp_path: Path) -> AsyncIterator[Api]:
    async with running_api(tmp_path, runtime="process") as running:
        yield running


def wish(project_id: str, **fields: Any) -> dict[str, Any]:
    return {"project_id": project_id, "request_id": uuid4().hex, "wish": "A list of books", **fields}


async def test_processes_are_for_their_operator_alone(in_processes: Api) -> None:
    """A second person needs containers: whatever they build can read what the platform can."""
    api = in_processes
    refused = await api.http.post("/users", json={"user_id": 4711, "role": "member"}, headers=api.admin)
    assert (refused.status_code, refused.json()["code"]) == (409, "CONTAINERS_NEEDED")
    assert "ORCHESTRATOR_TRUST_PROCESSES=true" in refused.json()["detail"]
    assert "make docker" in refused.json()["detail"]
    mine = await api.new_project(api.admin)
    for route in ("/engineering", "/deliveries"):
        assert (await api.http.post(route, json=wish(mine), headers=api.admin)).status_code == 202


@pytest.mark.parametrize("route", ["/engineering", "/deliveries", "/deploys"])
async def test_who_came_while_there_were_containers_does_not_go_on_in_processes(api: Api, route: str) -> None:
    _, member = await api.new_user()
    project_id, mine = await api.new_project(member), await api.new_project(api.admin)
    report = RuntimeReport(work="processes", services="processes", reason="the engine is gone")
    report.write(api.settings.runtime_report_file)
    body = {"project_id": project_id, "request_id": uuid4().hex} if route == "/deploys" else wish(project_id)
    try:
        by_member = await api.http.post(route, json=body, headers=member)
        by_operator = await api.http.post(route, json=body, headers=api.admin)
        of_operator = await api.http.post(route, json={**body, "project_id": mine}, headers=api.admin)
        ended = {"project_id": project_id, "request_id": uuid4().hex, "action": "stop"}
        stopped = await api.http.post("/deploys", json=ended, headers=member)
    finally:
        api.settings.runtime_report_file.unlink()
    assert [reply.json().get("code") for reply in (by_member, by_operator)] == ["CONTAINERS_NEEDED"] * 2
    assert of_operator.status_code == 202, of_operator.text
    assert stopped.status_code == 202, "what runs can be ended by its owner"


async def test_an_agent_with_a_model_needs_containers(in_processes: Api) -> None:
    api = in_processes
    mine = await api.new_project(api.admin)
    refused = await api.http.post("/engineering", json=wish(mine, agent="claude-code"), headers=api.admin)
    assert (refused.status_code, refused.json()["code"]) == (409, "CONTAINERS_NEEDED")
    assert "claude-code" in refused.json()["detail"]
    await api.http.put(f"/projects/{mine}/settings/agent", json={"value": "factory-droid"}, headers=api.admin)
    by_setting = await api.http.post("/deliveries", json=wish(mine), headers=api.admin)
    assert by_setting.json()["code"] == "CONTAINERS_NEEDED"


async def test_an_operator_may_trust_everybody_with_the_machine(tmp_path: Path) -> None:
    async with running_api(tmp_path, runtime="process", trust_processes=True) as api:
        _, member = await api.new_user()
        project_id = await api.new_project(member)
        started = await api.http.post("/engineering", json=wish(project_id), headers=member)
        assert started.status_code == 202, started.text
        refused = await api.http.post("/engineering", json=wish(project_id, agent="claude-code"), headers=member)
        assert refused.json()["code"] == "CONTAINERS_NEEDED", "its programs are in images, whoever is trusted"
        assert "DOCKER=install" in refused.json()["detail"]
