"""Projects, ports, releases, servers and artifacts: repeated and simultaneous requests have one effect."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from contracts import ids
from contracts.base import utc_now
from contracts.nouns import ArtifactFates
from tests.support.api import Api, Headers, projection, release, running_api
from tests.support.services.forges import forge_of
from tests.support.stack import free_ports
from workers.housekeeping import Housekeeping


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest_asyncio.fixture
async def project_id(api: Api) -> str:
    return await api.new_project(api.admin)


async def test_a_project_created_again_by_its_id_is_the_same_project(api: Api) -> None:
    body = {"id": f"p-{uuid4().hex}", "name": f"n{uuid4().hex[:8]}", "title": "Books"}
    replies = await asyncio.gather(*(api.http.post("/projects", json=body, headers=api.admin) for _ in range(8)))
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.text for reply in replies}) == 1
    assert len(await api.rows("SELECT 1 FROM projects WHERE id = $1", body["id"])) == 1


async def test_the_same_id_with_another_content_or_owner_is_a_conflict(api: Api) -> None:
    body = {"id": f"p-{uuid4().hex}", "name": f"n{uuid4().hex[:8]}"}
    await api.http.post("/projects", json=body, headers=api.admin)
    _, stranger = await api.new_user()
    for changed, headers in (({**body, "title": "other"}, api.admin), (body, stranger)):
        reply = await api.http.post("/projects", json=changed, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (409, "CONFLICT")


async def test_a_project_created_again_after_a_change_is_still_the_same_project(api: Api) -> None:
    body = {"id": f"p-{uuid4().hex}", "name": f"n{uuid4().hex[:8]}"}
    await api.http.post("/projects", json=body, headers=api.admin)
    await api.http.patch(f"/projects/{body['id']}", json={"title": "changed"}, headers=api.admin)
    reply = await api.http.post("/projects", json=body, headers=api.admin)
    assert (reply.status_code, reply.json()["title"]) == (201, "changed")


async def test_a_name_is_unique_for_its_owner_only(api: Api) -> None:
    name = f"n{uuid4().hex[:8]}"
    await api.new_project(api.admin, name=name)
    reply = await api.http.post("/projects", json={"id": f"p-{uuid4().hex}", "name": name}, headers=api.admin)
    assert (reply.status_code, reply.json()["code"]) == (409, "ALREADY_EXISTS")
    _, other = await api.new_user()
    await api.new_project(other, name=name)


async def test_a_project_has_a_readable_slug_that_a_rename_leaves_alone(api: Api) -> None:
    name, other = (f"n{uuid4().hex[:8]}" for _ in range(2))
    body = {"id": f"p-{uuid4().hex}", "name": name}
    made = (await api.http.post("/projects", json=body, headers=api.admin)).json()
    assert re.fullmatch(f"{name}-[0-9a-f]{{4}}", made["slug"])
    renamed = await api.http.patch(f"/projects/{body['id']}", json={"name": other}, headers=api.admin)
    assert (renamed.status_code, renamed.json()["name"], renamed.json()["slug"]) == (200, other, made["slug"])
    again = (await api.http.post("/projects", json=body, headers=api.admin)).json()
    assert (again["name"], again["slug"]) == (other, made["slug"])


async def test_a_project_cannot_take_the_name_of_another_one_of_its_owner(api: Api) -> None:
    name = f"n{uuid4().hex[:8]}"
    await api.new_project(api.admin, name=name)
    mine = await api.new_project(api.admin)
    reply = await api.http.patch(f"/projects/{mine}", json={"name": name, "title": "T"}, headers=api.admin)
    assert (reply.status_code, reply.json()["code"]) == (409, "ALREADY_EXISTS")
    shown = (await api.http.get(f"/projects/{mine}", headers=api.admin)).json()["project"]
    assert (shown["name"] == name, shown["title"]) == (False, "")


async def test_two_projects_whose_short_slugs_are_equal_get_two_slugs(api: Api) -> None:
    name, known = f"n{uuid4().hex[:8]}", dict[str, str]()
    while True:
        project_id = f"p-{uuid4().hex}"
        twin = known.setdefault(ids.slugs(name, project_id)[0], project_id)
        if twin != project_id:
            break
    _, other = await api.new_user()
    await api.new_project(api.admin, id=twin, name=name)
    await api.new_project(other, id=project_id, name=name)
    assert await api.slug(twin) == ids.slugs(name, twin)[0]
    assert await api.slug(project_id) == ids.slugs(name, project_id)[1]


async def test_a_workflow_hears_its_projects_present_name(api: Api, project_id: str) -> None:
    name = f"n{uuid4().hex[:8]}"
    await api.http.patch(f"/projects/{project_id}", json={"name": name}, headers=api.admin)
    body = projection(f"eng-{uuid4().hex[:12]}", project_id, seq=1)
    for _ in range(2):
        ack = (await api.http.put("/internal/projections", json=body, headers=api.platform)).json()
        assert ack["project_name"] == name


async def test_an_archived_project_leaves_the_list_and_comes_back(api: Api, project_id: str) -> None:
    async def listed(query: str = "") -> bool:
        items = (await api.http.get(f"/projects{query}", headers=api.admin)).json()["items"]
        return project_id in {item["id"] for item in items}

    for _ in range(2):
        reply = await api.http.patch(f"/projects/{project_id}", json={"archived": True}, headers=api.admin)
        assert reply.json()["status"] == "archived"
    assert not await listed()
    assert await listed("?include_archived=true")
    reply = await api.http.patch(f"/projects/{project_id}", json={"archived": False}, headers=api.admin)
    assert reply.json()["status"] == "draft"
    assert await listed()


async def test_an_archived_project_comes_back_as_scaffolded_when_something_is_in_its_repository(
    api: Api, project_id: str
) -> None:
    task = await api.new_task(project_id, project_status="scaffolded")
    await api.project_task(task, project_id, seq=2, state="failed", project_status="failed")
    for archived, status in ((True, "archived"), (False, "scaffolded")):
        reply = await api.http.patch(f"/projects/{project_id}", json={"archived": archived}, headers=api.admin)
        assert reply.json()["status"] == status


async def test_a_project_has_its_repository_from_the_beginning_and_no_other_project_gets_it(api: Api) -> None:
    owner, headers = await api.new_user()
    first = await new_project(api, headers, "shop")
    assert first["repository"] == f"u{owner}/shop"
    await api.rows("UPDATE projects SET name = 'store' WHERE id = $1", first["id"])
    second = await new_project(api, headers, "shop")
    assert second["repository"].startswith(f"u{owner}/shop-")
    again = await api.http.post("/projects", json={"id": second["id"], "name": "shop"}, headers=headers)
    assert again.json()["repository"] == second["repository"]
    taken = await api.http.post("/projects", json={"id": f"p-{uuid4().hex}", "name": "shop"}, headers=headers)
    assert (taken.status_code, taken.json()["code"]) == (409, "ALREADY_EXISTS")


async def new_project(api: Api, owner: Headers, name: str) -> dict[str, Any]:
    reply = await api.http.post("/projects", json={"id": f"p-{uuid4().hex}", "name": name}, headers=owner)
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


async def allocate(api: Api, project_id: str, *services: str, **fields: Any) -> dict[str, Any]:
    body = {"project_id": project_id, "services": list(services), **fields}
    reply = await api.http.post("/internal/ports", json=body, headers=api.platform)
    return dict(reply.json())


async def new_server(api: Api, **fields: Any) -> str:
    body = {"handle": f"s-{uuid4().hex[:8]}", "public_ip": "10.0.0.9", "status": "ready", **fields}
    reply = await api.http.post("/servers", json=body, headers=api.admin)
    assert reply.status_code == 201, reply.text
    return str(body["handle"])


async def test_parallel_allocations_never_share_a_port_and_repeat_themselves(api: Api) -> None:
    handle = await new_server(api, port_from=20000, port_to=20039)
    projects = [await api.new_project(api.admin) for _ in range(20)]
    wanted = [(project, service) for project in projects for service in (("backend",), ("backend", "tg_bot"))]
    await asyncio.gather(*(allocate(api, project, *services, server_handle=handle) for project, services in wanted))
    finals = [await allocate(api, project, "backend", "tg_bot") for project in projects]
    ports = [port["port"] for final in finals for port in final["ports"]]
    assert sorted(ports) == list(range(20000, 20040))
    assert {final["server_handle"] for final in finals} == {handle}
    assert [await allocate(api, project, "backend", "tg_bot") for project in projects] == finals
    full = await allocate(api, await api.new_project(api.admin), "backend", server_handle=handle)
    assert full["code"] == "NO_PORT"
    assert len(await api.rows("SELECT 1 FROM port_allocations WHERE server_handle = $1", handle)) == 40


async def test_a_port_of_a_foreign_program_is_not_given_out_on_this_machine(api: Api) -> None:
    first = free_ports(3)
    on_machine = {"kind": "machine", "public_ip": "127.0.0.1", "port_from": first, "port_to": first + 2}
    handle = await new_server(api, **on_machine)
    with socket.create_server(("127.0.0.1", first)), socket.create_server(("0.0.0.0", first + 1)):
        granted = await allocate(api, await api.new_project(api.admin), "backend", server_handle=handle)
        full = await allocate(api, await api.new_project(api.admin), "backend", server_handle=handle)
    assert [port["port"] for port in granted["ports"]] == [first + 2]
    assert full["code"] == "NO_PORT"
    free_again = await allocate(api, await api.new_project(api.admin), "backend", server_handle=handle)
    assert [port["port"] for port in free_again["ports"]] == [first]


async def test_a_port_is_exchanged_until_a_release_has_served_at_it(api: Api, project_id: str) -> None:
    """Others hold it, as the server found out when it started the service. Its neighbours keep theirs."""
    handle = await new_server(api, port_from=23000, port_to=23009)
    before = await allocate(api, project_id, "backend", "tg_bot", server_handle=handle)
    wanted = {"avoid": [23000, 23002]}
    moved = await allocate(api, project_id, "backend", "tg_bot", **wanted)
    assert {port["service"]: port["port"] for port in before["ports"]} == {"backend": 23000, "tg_bot": 23001}
    assert {port["service"]: port["port"] for port in moved["ports"]} == {"backend": 23003, "tg_bot": 23001}
    assert await allocate(api, project_id, "backend", "tg_bot", **wanted) == moved, "a repetition changes nothing"
    served = release(project_id, server_handle=handle)
    for state in ("pending", "active"):
        put = await api.http.put("/internal/releases", json={**served, "state": state}, headers=api.platform)
        assert put.status_code == 200, put.text
    refused = await allocate(api, project_id, "backend", "tg_bot", avoid=[23003])
    assert refused["code"] == "CONFLICT"
    assert "23003" in refused["detail"]
    assert await allocate(api, project_id, "backend", "tg_bot") == moved


async def test_a_server_that_is_not_ready_gets_nothing_new_but_keeps_its_projects(api: Api, project_id: str) -> None:
    handle = await new_server(api, port_from=21000, port_to=21009)
    first = await allocate(api, project_id, "backend", server_handle=handle)
    await api.http.patch(f"/servers/{handle}", json={"status": "maintenance"}, headers=api.admin)
    assert await allocate(api, project_id, "backend") == first
    other = await allocate(api, await api.new_project(api.admin), "backend", server_handle=handle)
    assert other["code"] == "NO_SERVER"
    moved = await allocate(api, project_id, "backend", server_handle="local")
    assert moved["code"] == "CONFLICT"


async def test_a_server_is_created_once_by_its_handle(api: Api) -> None:
    body = {"handle": f"s-{uuid4().hex[:8]}", "public_ip": "10.0.0.1"}
    assert (await api.http.post("/servers", json=body, headers=api.admin)).status_code == 201
    assert (await api.http.post("/servers", json=body, headers=api.admin)).status_code == 201
    other = {**body, "public_ip": "10.0.0.2"}
    assert (await api.http.post("/servers", json=other, headers=api.admin)).json()["code"] == "CONFLICT"
    backwards = {**body, "handle": "s-x", "port_from": 2, "port_to": 1}
    assert (await api.http.post("/servers", json=backwards, headers=api.admin)).status_code == 422


async def test_a_member_sees_the_servers_that_their_projects_use(api: Api) -> None:
    _, member = await api.new_user()
    project_id = await api.new_project(member)
    handle = await new_server(api, port_from=22000, port_to=22009)
    assert (await api.http.get(f"/servers/{handle}", headers=member)).status_code == 404
    allocated = await allocate(api, project_id, "backend", server_handle=handle)
    assert (await api.http.get(f"/servers/{handle}", headers=member)).json()["status"] == "in_use"
    listed = (await api.http.get("/allocations", headers=member)).json()["items"]
    assert listed == [allocated]


async def record(api: Api, body: dict[str, Any], state: str, **fields: Any) -> dict[str, Any]:
    reply = await api.http.put("/internal/releases", json={**body, "state": state, **fields}, headers=api.platform)
    return dict(reply.json())


async def states(api: Api, project_id: str) -> dict[str, str]:
    items = (await api.http.get(f"/projects/{project_id}/releases", headers=api.admin)).json()["items"]
    return {item["id"]: item["state"] for item in items}


async def project(api: Api, project_id: str) -> dict[str, Any]:
    return dict((await api.http.get(f"/projects/{project_id}", headers=api.admin)).json())


async def test_a_new_active_release_supersedes_the_former_and_moves_the_address(api: Api, project_id: str) -> None:
    first, second = release(project_id), release(project_id)
    for body, url in ((first, "http://x:1"), (second, "http://x:2")):
        for state in ("pending", "building", "starting", "probing"):
            assert (await record(api, body, state))["state"] == state
        assert (await record(api, body, "active", url=url, server_handle="local"))["state"] == "active"
    assert await states(api, project_id) == {first["id"]: "superseded", second["id"]: "active"}
    shown = await project(api, project_id)
    assert (shown["project"]["url"], shown["project"]["status"]) == ("http://x:2", "active")
    assert shown["active_release"]["number"] == 2


async def test_a_rollback_makes_the_earlier_release_active_again(api: Api, project_id: str) -> None:
    first, second = release(project_id), release(project_id)
    for body in (first, second):
        await record(api, body, "pending")
        await record(api, body, "active", url=f"http://{body['id']}")
    await record(api, first, "starting")
    await record(api, first, "active")
    await record(api, second, "rolled_back", error="asked for")
    assert await states(api, project_id) == {first["id"]: "active", second["id"]: "rolled_back"}
    assert (await project(api, project_id))["project"]["url"] == f"http://{first['id']}"


async def test_a_rollback_that_fails_leaves_everything_as_it_was(api: Api, project_id: str) -> None:
    first, second = release(project_id), release(project_id)
    for body in (first, second):
        await record(api, body, "pending")
        await record(api, body, "active", url=f"http://{body['id']}")
    for state in ("pending", "starting", "probing"):
        await record(api, first, state)
    back = await record(api, first, "superseded", error="did not answer")
    assert (back["state"], back["error"]) == ("superseded", "did not answer")
    assert await states(api, project_id) == {first["id"]: "superseded", second["id"]: "active"}
    assert (await project(api, project_id))["project"]["url"] == f"http://{second['id']}"
    for state in ("pending", "active"):
        again = await record(api, first, state)
    assert (again["state"], again["error"]) == ("active", None)


async def test_a_release_whose_image_is_not_kept_cannot_be_returned_to(api: Api, project_id: str) -> None:
    image = {"image": "sha256:1", "server_handle": "local"}
    old, kept, built_again = (release(project_id, **known) for known in (image, image, {}))
    for body in (old, kept, built_again):
        await record(api, body, "pending")
        await record(api, body, "active")
    live = release(project_id, **image)
    await record(api, live, "pending")
    await record(api, live, "active", still_built=[kept["id"], live["id"]])
    items = (await api.http.get(f"/projects/{project_id}/releases", headers=api.admin)).json()["items"]
    assert {item["id"]: item["can_return"] for item in items} == {
        old["id"]: False, kept["id"]: True, built_again["id"]: True, live["id"]: False,
    }  # fmt: skip
    asked = {"request_id": uuid4().hex, "project_id": project_id, "action": "rollback", "release_id": old["id"]}
    refused = (await api.http.post("/deploys", json=asked, headers=api.admin)).json()
    assert refused["code"] == "RELEASE_NOT_KEPT"
    assert f"deploy start {project_id} --commit {old['commit']}" in refused["detail"]


async def test_a_release_that_never_served_is_not_something_to_go_back_to(api: Api, project_id: str) -> None:
    body = release(project_id)
    await record(api, body, "pending")
    assert (await record(api, body, "superseded"))["code"] == "CONFLICT"


async def test_illegal_steps_of_a_release_are_conflicts_and_change_nothing(api: Api, project_id: str) -> None:
    body = release(project_id)
    assert (await record(api, body, "active"))["code"] == "CONFLICT"
    await record(api, body, "pending")
    await record(api, body, "failed", error="broken")
    for state in ("active", "probing", "superseded"):
        assert (await record(api, body, state))["code"] == "CONFLICT"
    assert (await record(api, {**body, "commit": "f" * 40}, "failed"))["code"] == "CONFLICT"
    other = await api.new_project(api.admin)
    assert (await record(api, {**body, "project_id": other}, "failed"))["code"] == "CONFLICT"
    again = await record(api, body, "failed")
    assert (again["state"], again["error"], again["number"]) == ("failed", "broken", 1)


async def test_two_concurrent_releases_leave_exactly_one_active(api: Api, project_id: str) -> None:
    bodies = [release(project_id) for _ in range(6)]
    await asyncio.gather(*(record(api, body, "pending") for body in bodies))
    await asyncio.gather(*(record(api, body, "active") for body in bodies))
    final = list((await states(api, project_id)).values())
    assert sorted(final) == ["active", *["superseded"] * 5]
    items = (await api.http.get(f"/projects/{project_id}/releases", headers=api.admin)).json()["items"]
    assert [item["number"] for item in items] == [6, 5, 4, 3, 2, 1]


async def test_a_removed_release_removes_the_address(api: Api, project_id: str) -> None:
    body = release(project_id)
    await record(api, body, "pending")
    await record(api, body, "active", url="http://x")
    await record(api, body, "removed")
    shown = await project(api, project_id)
    assert (shown["project"]["url"], shown["project"]["status"], shown["active_release"]) == (None, "scaffolded", None)


async def test_an_artifact_is_read_in_slices_that_keep_characters_whole(api: Api, project_id: str) -> None:
    text = "".join(f"строка {number} 🔑\n" for number in range(50))
    ref = await api.state.artifacts.put("log.txt", text.encode())
    task_id = await api.new_task(project_id, artifacts=[ref.model_dump()])
    for path in (f"/artifacts/{ref.sha256}/log.txt", f"/tasks/{task_id}/artifacts/{ref.sha256}"):
        read, offset = "", 0
        while offset is not None:
            reply = await api.http.get(f"{path}?offset={offset}&limit=7", headers=api.admin)
            assert reply.status_code == 200, reply.text
            read, offset = read + reply.json()["text"], reply.json()["next_offset"]
        assert read == text
    _, stranger = await api.new_user()
    assert (await api.http.get(f"/artifacts/{ref.sha256}/log.txt", headers=stranger)).status_code == 404
    assert (await api.http.get(f"/artifacts/{ref.sha256}/other.txt", headers=api.admin)).status_code == 404


async def test_the_log_of_a_release_can_be_read_by_its_owner(api: Api, project_id: str) -> None:
    ref = await api.state.artifacts.put("deploy.log", uuid4().hex.encode())
    await record(api, release(project_id), "failed", log=ref.model_dump())
    assert (await api.http.get(f"/artifacts/{ref.sha256}/deploy.log", headers=api.admin)).status_code == 200


async def test_artifacts_go_when_every_project_that_refers_to_them_lets_them(api: Api) -> None:
    """An old task of a project with a limit; an open one; one without a limit; one that is new; a release's log."""
    store, long_ago = api.state.artifacts, utc_now() - timedelta(days=40)
    refs = {
        name: (await store.put(name, uuid4().hex.encode())) for name in ("old", "open", "shared", "new", "log", "no")
    }
    limited, unlimited = await api.new_project(api.admin), await api.new_project(api.admin)
    changed = await api.http.put(f"/projects/{limited}/settings/retention_days", json={"value": 30}, headers=api.admin)
    assert changed.status_code == 200, changed.text
    for name in ("old", "open", "shared", "new"):
        state = "running" if name == "open" else "completed"
        task = await api.new_task(limited, state=state, artifacts=[refs[name].model_dump()])
        if name != "new":
            await api.rows("UPDATE tasks SET updated_at = $2 WHERE id = $1", task, long_ago)
    task = await api.new_task(unlimited, state="completed", artifacts=[refs["shared"].model_dump()])
    await api.rows("UPDATE tasks SET updated_at = $2 WHERE id = $1", task, long_ago)
    recorded = release(limited, state="failed", log=refs["log"].model_dump())
    assert (await api.http.put("/internal/releases", json=recorded, headers=api.platform)).status_code == 200
    await api.rows("UPDATE releases SET updated_at = $2 WHERE id = $1", recorded["id"], long_ago)
    for ref in refs.values():
        os.utime(store._path(ref.sha256), (long_ago.timestamp(), long_ago.timestamp()))
    gone = await Housekeeping(api.settings, forge_of(api.settings.home), PlatformsView(api)).tidy()
    assert set(gone["artifacts"]) == {refs["old"].sha256, refs["log"].sha256}
    assert not store._path(refs["old"].sha256).exists()
    assert store._path(refs["no"].sha256).exists(), "a workflow may know of it"
    os.utime(store._path(refs["no"].sha256), (0, 0))
    gone = await Housekeeping(api.settings, forge_of(api.settings.home), PlatformsView(api)).tidy()
    assert gone["artifacts"] == [refs["no"].sha256]


@dataclass(frozen=True)
class PlatformsView:
    api: Api

    async def artifact_fates(self, hashes: list[str]) -> ArtifactFates:
        body = {"items": hashes}
        reply = await self.api.http.post("/internal/artifacts/fates", json=body, headers=self.api.platform)
        return ArtifactFates.model_validate(reply.json())
