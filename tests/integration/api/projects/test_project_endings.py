"""Projects that are archived, handed over and deleted, and whose project a name means."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from api.git.repositories import repository_dir
from tests.support.api import Api, Headers, milestone, release, running_api


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


def name() -> str:
    return f"n{uuid4().hex[:10]}"


async def named(api: Api, whose: Headers, wanted: str) -> list[str]:
    reply = await api.http.get("/projects", params={"named": wanted}, headers=whose)
    assert reply.status_code == 200, reply.text
    return [item["id"] for item in reply.json()["items"]]


async def put_online(api: Api, project_id: str) -> dict[str, Any]:
    recorded = release(project_id)
    for state in ("pending", "active"):
        reply = await api.http.put("/internal/releases", json={**recorded, "state": state}, headers=api.platform)
        assert reply.status_code == 200, reply.text
    return recorded


async def test_an_own_project_wins_over_another_persons_of_the_same_name_or_id(api: Api) -> None:
    wanted = name()
    _, stranger = await api.new_user()
    theirs = await api.new_project(stranger, name=wanted)
    assert await named(api, api.admin, wanted) == [theirs]
    await api.new_project(stranger, id=wanted, name=name())
    own = await api.new_project(api.admin, name=wanted)
    assert await named(api, api.admin, wanted) == [own]
    assert await named(api, stranger, wanted) == [theirs]
    assert await named(api, api.admin, theirs) == [theirs]


async def test_of_two_other_people_neither_wins(api: Api) -> None:
    wanted = name()
    made = {await api.new_project((await api.new_user())[1], name=wanted) for _ in range(2)}
    assert set(await named(api, api.admin, wanted)) == made
    _, stranger = await api.new_user()
    assert await named(api, stranger, wanted) == []


async def test_an_archived_project_is_found_and_its_service_is_stopped_restarted_and_removed(api: Api) -> None:
    wanted = name()
    project = await api.new_project(api.admin, name=wanted)
    await api.http.patch(f"/projects/{project}", json={"archived": True}, headers=api.admin)
    assert await named(api, api.admin, wanted) == [project]
    for action, status in (("stop", 202), ("restart", 202), ("remove", 202), ("deploy", 409), ("rollback", 409)):
        body = {"request_id": uuid4().hex, "project_id": project, "action": action}
        reply = await api.http.post("/deploys", json=body, headers=api.admin)
        assert reply.status_code == status, (action, reply.text)
        assert status == 202 or "project unarchive" in reply.json()["detail"]


async def test_a_project_is_handed_over_with_all_its_rights(api: Api) -> None:
    wanted = name()
    (_, former), (heir_id, heir) = await api.new_user(), await api.new_user()
    project = await api.new_project(former, name=wanted)
    token = await api.http.post("/tokens", json={"project_id": project, "commands": ["project.show"]}, headers=former)
    agent = {"Authorization": f"Bearer {token.json()['token']}"}
    for _ in range(2):
        reply = await api.http.post(f"/projects/{project}/transfer", json={"user_id": heir_id}, headers=api.admin)
        assert (reply.status_code, reply.json()["owner_id"]) == (200, heir_id), reply.text
    assert (await api.http.get(f"/projects/{project}", headers=former)).status_code == 404
    assert (await api.http.get(f"/projects/{project}", headers=agent)).status_code == 401
    assert (await api.http.patch(f"/projects/{project}", json={"title": "Mine"}, headers=heir)).status_code == 200
    # The name is free for the one who gave it away.
    await api.new_project(former, name=wanted)


async def test_what_stands_in_the_way_of_a_transfer_is_said(api: Api) -> None:
    wanted = name()
    (_, former), (heir_id, heir) = await api.new_user(), await api.new_user()
    project = await api.new_project(former, name=wanted)
    path = f"/projects/{project}/transfer"

    async def refused(user_id: int, who: Headers) -> tuple[int, str]:
        reply = await api.http.post(path, json={"user_id": user_id}, headers=who)
        return reply.status_code, reply.json()["code"]

    assert await refused(heir_id, heir) == (404, "NOT_FOUND")
    assert await refused(2**51, former) == (404, "NOT_FOUND")
    task = await api.new_task(project)
    assert await refused(heir_id, former) == (409, "CONFLICT")
    await api.project_task(task, project, seq=2, state="completed")
    await api.new_project(heir, name=wanted)
    assert await refused(heir_id, former) == (409, "ALREADY_EXISTS")
    assert (await api.http.get(f"/projects/{project}", headers=former)).status_code == 200


async def with_everything(api: Api, owner: Headers, wanted: str) -> str:
    """A project with something in every table, and a repository."""
    project = await api.new_project(owner, name=wanted)
    task = await api.new_task(project, project_status="scaffolded", milestone=milestone("begun"))
    await api.new_question(task, project)
    await api.project_task(task, project, seq=3, state="completed")
    await api.http.put(f"/projects/{project}/secrets/TOKEN", json={"value": "v"}, headers=owner)
    await api.http.put(f"/projects/{project}/settings/approve_deploys", json={"value": True}, headers=owner)
    await api.http.post("/tokens", json={"project_id": project, "commands": ["task.show"]}, headers=owner)
    ports = {"project_id": project, "services": ["backend"]}
    assert (await api.http.post("/internal/ports", json=ports, headers=api.platform)).status_code == 200
    shown = (await api.http.get(f"/projects/{project}", headers=owner)).json()["project"]
    directory = repository_dir(api.settings, shown["repository"])
    directory.mkdir(parents=True)
    (directory / "HEAD").write_text("ref: refs/heads/main\n")
    return project


async def test_a_deleted_project_is_gone_and_its_name_is_free_while_nobody_gets_its_ids(api: Api) -> None:
    wanted = name()
    _, owner = await api.new_user()
    project = await with_everything(api, owner, wanted)
    whole = (await api.http.get(f"/projects/{project}", headers=owner)).json()["project"]
    told = (await api.http.get(f"/projects/{project}/deletion", headers=owner)).json()
    assert told["blocked_by"] == []
    assert told["goes"] == {
        "events": 1, "questions": 1, "tasks": 1, "releases": 0, "ports": 1, "secrets": 1, "settings": 1,
        "repository": 1, "agent worker events": 0, "agent workers": 0, "checks": 0, "memory": 0,
    }  # fmt: skip
    deleted = await api.http.delete(f"/projects/{project}", params={"confirm": wanted}, headers=owner)
    assert (deleted.status_code, deleted.json()["goes"]) == (200, told["goes"])

    assert not repository_dir(api.settings, whole["repository"]).exists()
    for who in (owner, api.admin):
        assert (await api.http.get(f"/projects/{project}", headers=who)).status_code == 404
        assert await named(api, who, wanted) == []
        assert project not in (await api.http.get("/projects?include_archived=true", headers=who)).text
        assert project not in (await api.http.get("/tasks", headers=who)).text
    for table in ("secrets", "releases", "credentials", "port_allocations"):
        assert await api.rows(f"SELECT 1 FROM {table} WHERE project_id = $1", project) == []
    again = await api.http.post("/projects", json={"id": project, "name": wanted}, headers=owner)
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")
    fresh = await api.new_project(owner, name=wanted)
    new = (await api.http.get(f"/projects/{fresh}", headers=owner)).json()["project"]
    assert new["repository"] != whole["repository"]
    assert new["slug"] != whole["slug"]


async def test_nothing_is_deleted_by_mistake(api: Api) -> None:
    wanted = name()
    (_, owner), (_, stranger) = await api.new_user(), await api.new_user()
    project = await api.new_project(owner, name=wanted)
    path = f"/projects/{project}"
    assert (await api.http.delete(path, params={"confirm": wanted}, headers=stranger)).status_code == 404
    for confirm in ("", name(), wanted.upper(), project):
        reply = await api.http.delete(path, params={"confirm": confirm}, headers=owner)
        assert (reply.status_code, reply.json()["code"]) == (422, "INVALID_INPUT")
    task = await api.new_task(project)
    assert (await api.http.delete(path, params={"confirm": wanted}, headers=owner)).status_code == 409
    await api.project_task(task, project, seq=2, state="completed")
    online = await put_online(api, project)
    refused = await api.http.delete(path, params={"confirm": wanted}, headers=owner)
    assert refused.status_code == 409
    assert f"deploy remove {project}" in refused.json()["detail"]
    assert (await api.http.get(path, headers=owner)).status_code == 200
    gone = {**online, "state": "removed"}
    assert (await api.http.put("/internal/releases", json=gone, headers=api.platform)).status_code == 200
    replies = await asyncio.gather(
        *(api.http.delete(path, params={"confirm": wanted}, headers=owner) for _ in range(2))
    )
    assert sorted(reply.status_code for reply in replies) == [200, 404]


async def test_a_deleted_project_is_nothing_to_hand_over(api: Api) -> None:
    wanted = name()
    (owner_id, owner), (heir_id, heir) = await api.new_user(), await api.new_user()
    project = await api.new_project(owner, name=wanted)
    assert (await api.http.delete(f"/projects/{project}", params={"confirm": wanted}, headers=owner)).status_code == 200
    kept = await api.new_project(owner)
    body = {"hand_over_to": heir_id}
    removed = await api.http.post(f"/users/{owner_id}/remove", json=body, headers=api.admin)
    assert (removed.status_code, removed.json()["projects"]) == (200, [kept])
    assert (await api.http.get(f"/projects/{project}", headers=heir)).status_code == 404


async def test_only_who_may_open_the_web_ui_gets_links_to_it(api: Api) -> None:
    _, member = await api.new_user()
    project = await api.new_project(member)
    task = await api.new_task(project)
    for who, has_link in ((member, False), (api.admin, True)):
        shown = (await api.http.get(f"/tasks/{task}", headers=who)).json()
        assert (shown["web_url"] is not None) is has_link
        body = {"request_id": uuid4().hex, "project_id": project, "wish": "A blog"}
        started = (await api.http.post("/engineering", json=body, headers=who)).json()
        assert (started["web_url"] is not None) is has_link
