"""The audit trail: who, with what, from where, on what, with which result; and nobody changes it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from api.audit.trail import is_audited
from api.auth import platform_only
from tests.integration.api.access.test_revocation import new_login
from tests.support.api import Api, Headers, release, running_api
from tests.unit.api.test_openapi import routes

UNAUDITED = {
    # What the platform's processes report of their own work: its beginning is in the trail.
    ("PUT", "/internal/projections"), ("POST", "/internal/events"), ("POST", "/internal/ports"),
    ("PUT", "/internal/workers/{worker_id}"),
    ("PUT", "/internal/servers/{handle}/machine"),
    ("PUT", "/internal/servers"), ("PUT", "/internal/releases"), ("PUT", "/internal/releases/{release_id}/health"),
    # A question that changes nothing, and the removal of what nobody can use any more.
    ("POST", "/internal/artifacts/fates"), ("POST", "/internal/tidy"),
    # A turn of an agent that the trail has begun with, and what its task will cost.
    ("POST", "/internal/model-turns"), ("POST", "/internal/model-turns/{worker_id}/{turn}/end"),
    ("POST", "/internal/cost-estimates"),
    # What such a task has proposed to promise, and has kept: a person's dropping of it is in the trail.
    ("PUT", "/internal/projects/{project_id}/checks/proposed/{task_id}"),
    ("POST", "/internal/projects/{project_id}/checks/proposed/{task_id}/keep"),
    # What such a task has found in the repository, and what has failed: a person's edit is in the trail.
    ("PUT", "/internal/projects/{project_id}/memory/published"),
    ("POST", "/internal/projects/{project_id}/memory/failures"),
    # What the bot remembers of its messages.
    ("PUT", "/chat/screens/{screen_id}"), ("PATCH", "/chat/screens/{screen_id}"), ("PUT", "/chat/updates/{update_id}"),
    ("PUT", "/whoami/language"),
    # Reading, although Git sends it as a POST.
    ("POST", "/git/{slug}.git/git-upload-pack"),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


async def trail(api: Api, **query: object) -> list[dict[str, Any]]:
    reply = await api.http.get("/audit", params={"limit": 500, **query}, headers=api.admin)
    assert reply.status_code == 200, reply.text
    items: list[dict[str, Any]] = reply.json()["items"]
    return [item for item in items if item["action"] != "sign_in.key" or query.get("action") == "sign_in.key"]


def audits(route: Any) -> bool:
    pending = [route.dependant]
    while pending:
        dependant = pending.pop()
        if is_audited(dependant.call):
            return True
        pending.extend(dependant.dependencies)
    return False


async def test_every_route_that_changes_something_is_in_the_trail(api: Api) -> None:
    for route in routes(api.app):
        for method in route.methods - {"GET", "HEAD"}:
            assert audits(route) or (method, route.path) in UNAUDITED, (method, route.path)


async def test_the_trail_comes_before_what_may_refuse(api: Api) -> None:
    for route in filter(audits, routes(api.app)):
        own = [dependant.call for dependant in route.dependant.dependencies if dependant.call is not platform_only]
        assert is_audited(own[0]), route.path


async def test_an_entry_says_who_with_what_from_where_on_what_and_with_which_result(api: Api) -> None:
    user_id, mine = await api.new_user()
    project_id = await api.new_project(mine)
    value = f"hunter2-{uuid4().hex}"
    headers = {**mine, "X-Request-ID": "audited-1", "X-Orchestrator-Via": "cli"}
    await api.http.put(f"/projects/{project_id}/secrets/TOKEN", json={"value": value}, headers=headers)
    [entry] = await trail(api, action="secret.set", user_id=user_id)
    [key] = (await api.http.get("/credentials", headers=mine)).json()["items"]
    assert {name: entry[name] for name in entry if name not in {"id", "at", "details"}} == {
        "user_id": user_id, "role": "member", "via": "cli", "credential": key["id"], "address": "127.0.0.1",
        "action": "secret.set", "target": f"{project_id}/TOKEN", "result": "done", "request_id": "audited-1",
    }  # fmt: skip
    assert value not in str(await trail(api))


async def test_what_was_refused_is_in_the_trail_although_nothing_was_done(api: Api) -> None:
    user_id, member = await api.new_user()
    await api.http.post("/users", json={"user_id": 12345}, headers=member)
    await api.http.put("/settings/max_rounds", json={"value": 5, "surprise": 1}, headers=member)
    found = await trail(api, user_id=user_id)
    assert {(entry["action"], entry["result"]) for entry in found} == {
        ("user.create", "NOT_ALLOWED"),
        ("setting.choose", "NOT_ALLOWED"),
    }
    assert await api.rows("SELECT 1 FROM users WHERE user_id = 12345") == []


async def test_starts_answers_cancels_and_destructive_acts_are_told(api: Api) -> None:
    user_id, mine = await api.new_user()
    project_id = await api.new_project(mine)
    start = {"request_id": uuid4().hex, "project_id": project_id}
    await api.http.post("/engineering", json={**start, "wish": "w"}, headers=mine)
    await api.http.post("/deploys", json={**start, "action": "remove"}, headers=mine)
    task_id = await api.new_task(project_id)
    question_id = await api.new_question(task_id, project_id, kind="approval", choices=["go", "stop"])
    body = {"answer_id": uuid4().hex, "text": "go"}
    await api.http.post(f"/questions/{question_id}/answer", json=body, headers=mine)
    await api.http.post(f"/tasks/{task_id}/cancel", headers=mine)
    await api.http.patch(f"/projects/{project_id}", json={"title": "t"}, headers=mine)
    found = {entry["action"]: entry for entry in await trail(api, user_id=user_id)}
    assert set(found) == {
        "project.create", "engineering.start", "deploy.start", "question.answer", "task.cancel", "project.update",
    }  # fmt: skip
    assert found["deploy.start"]["details"] == {"action": "remove"}
    assert found["question.answer"]["details"]["choice"] == "go"
    assert {entry["action"] for entry in await trail(api, target=project_id)} >= {"engineering.start", "deploy.start"}


async def test_a_free_answer_is_not_told_as_it_may_be_a_secret(api: Api) -> None:
    user_id, mine = await api.new_user()
    project_id = await api.new_project(mine)
    question_id = await api.new_question(await api.new_task(project_id), project_id)
    body = {"answer_id": "a", "text": "hunter2"}
    await api.http.post(f"/questions/{question_id}/answer", json=body, headers=mine)
    assert "hunter2" not in str(await trail(api, user_id=user_id))


async def test_access_of_the_platform_to_secrets_is_told(api: Api) -> None:
    _, mine = await api.new_user()
    project_id = await api.new_project(mine)
    await api.http.put(f"/projects/{project_id}/secrets/TOKEN", json={"value": "v"}, headers=mine)
    body = {"refs": [f"secret://projects/{project_id}/TOKEN"]}
    await api.http.post("/internal/secrets/reveal", json=body, headers=api.platform)
    [entry] = await trail(api, action="secret.reveal", target=project_id)
    assert (entry["user_id"], entry["credential"], entry["details"]) == (None, "api-service.key", {"names": "TOKEN"})


async def test_the_first_use_of_a_key_from_an_address_is_a_sign_in(api: Api) -> None:
    user_id, mine = await api.new_user()
    for _ in range(3):
        await api.http.get("/projects", headers=mine)
    elsewhere = httpx.ASGITransport(api.app, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://127.0.0.1") as http:
        await http.get("/nowhere", headers=mine)
        assert (await http.get("/users", headers=mine)).status_code == 403
    entries = await trail(api, user_id=user_id, action="sign_in.key")
    assert [entry["address"] for entry in entries] == ["203.0.113.9", "127.0.0.1"]
    assert len({entry["credential"] for entry in entries}) == 1


async def test_a_login_of_a_browser_is_told(api: Api) -> None:
    user_id, admin = await api.new_user("admin")
    ticket = (await api.http.post("/web-ui-tickets", headers=admin)).json()["url"].partition("ticket=")[2]
    await api.http.post("/ui-login", data={"ticket": ticket})
    api.http.cookies.clear()
    assert {entry["action"] for entry in await trail(api, user_id=user_id)} == {"web_ui.ticket", "sign_in.web_ui"}
    assert ticket not in str(await trail(api, user_id=user_id))


async def test_what_an_administrator_changes_in_the_web_ui_is_told_and_what_they_read_is_not(api: Api) -> None:
    async def web_ui(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        refuses = b"absent" in await reader.readuntil(b"\r\n\r\n")
        status = b"404 Not Found" if refuses else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    user_id, admin = await api.new_user("admin")
    headers = await new_login(api, admin) | {"Origin": api.settings.site_url}
    ui, at = httpx.URL(api.settings.ui_origin), "/api/v1/namespaces/default/workflows"
    async with await asyncio.start_server(web_ui, ui.host, ui.port):
        for method, path in (
            ("GET", f"{at}/deploy%2Fnotes-1/terminate"), ("POST", f"{at}/deploy%2Fnotes-1/query/__stack_trace"),
            ("POST", f"{at}/deploy%2Fnotes-1/terminate"), ("POST", f"{at}/a%00/runs/absent/reset"),
        ):  # fmt: skip
            await api.http.request(method, f"/temporal{path}", headers=headers, json={} if method == "POST" else None)
    told = [(entry["target"], entry["result"]) for entry in await trail(api, user_id=user_id, action="web_ui.change")]
    assert told == [
        (f"POST {at}/a%00/runs/absent/reset", "INVALID_INPUT"),
        (f"POST {at}/deploy%2Fnotes-1/terminate", "done"),
    ]


@pytest.mark.parametrize("statement", ["UPDATE audit SET action = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
async def test_no_entry_is_changed_or_removed_not_even_by_our_own_code(api: Api, statement: str) -> None:
    before = await trail(api)
    with pytest.raises(asyncpg.PostgresError, match="only added"):
        await api.rows(statement)
    assert await trail(api) == before
    assert before


async def test_only_an_administrator_reads_it(api: Api) -> None:
    _, member = await api.new_user()
    assert (await api.http.get("/audit", headers=member)).status_code == 403


async def test_what_no_column_can_hold_does_not_keep_an_act_out_of_the_trail(api: Api) -> None:
    user_id, mine = await api.new_user()
    await api.http.put("/projects/p%00/secrets/NAME", json={"value": "v"}, headers=mine)
    [entry] = await trail(api, user_id=user_id)
    assert (entry["action"], entry["result"], entry["target"]) == ("secret.set", "INVALID_INPUT", "p/NAME")


async def test_a_repeated_request_is_told_each_time_and_the_platforms_reports_are_not(api: Api) -> None:
    _, mine = await api.new_user()
    project_id = await api.new_project(mine)
    before = len(await trail(api))
    recorded: Headers = api.platform
    await api.http.put("/internal/releases", json=release(project_id), headers=recorded)
    assert len(await trail(api)) == before
