"""A sick server moves no work elsewhere, a changed address changes the addresses, and a project says what serves."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.support.api import Api, release, running_api


@pytest_asyncio.fixture
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One for each test: all of them are about which servers there are."""
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


async def register(api: Api, handle: str, **fields: Any) -> dict[str, Any]:
    body = {"handle": handle, "public_ip": "10.0.0.9", "status": "ready", **fields}
    reply = await api.http.put("/internal/servers", json=body, headers=api.platform)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def allocate(api: Api, project_id: str) -> tuple[int, dict[str, Any]]:
    body = {"project_id": project_id, "services": ["backend"]}
    reply = await api.http.post("/internal/ports", json=body, headers=api.platform)
    return reply.status_code, dict(reply.json())


async def in_containers(api: Api, status: str) -> None:
    """As a worker registers them that deploys to a server in a container."""
    await register(api, "local", kind="machine", public_ip="127.0.0.1", status="maintenance")
    await register(api, "docker", kind="container", status=status)


async def test_a_new_project_waits_for_a_sick_server_and_goes_nowhere_else(api: Api) -> None:
    await in_containers(api, "error")
    project_id = await api.new_project(api.admin)
    status, refused = await allocate(api, project_id)
    assert (status, refused["code"]) == (503, "SERVER_UNREACHABLE")
    assert "docker" in refused["detail"]
    assert await api.rows("SELECT 1 FROM port_allocations") == []
    await in_containers(api, "ready")
    assert (await allocate(api, project_id))[1]["server_handle"] == "docker"


async def test_a_project_that_lives_there_keeps_its_place_while_the_server_is_sick(api: Api) -> None:
    await in_containers(api, "ready")
    project_id = await api.new_project(api.admin)
    first = await allocate(api, project_id)
    await in_containers(api, "error")
    assert await allocate(api, project_id) == first


async def test_without_any_server_to_wait_for_the_deploy_is_refused(api: Api) -> None:
    await register(api, "local", kind="machine", public_ip="127.0.0.1", status="maintenance")
    status, refused = await allocate(api, await api.new_project(api.admin))
    assert (status, refused["code"]) == (409, "NO_SERVER")


async def recorded(api: Api, body: dict[str, Any], state: str, **fields: Any) -> dict[str, Any]:
    reply = await api.http.put("/internal/releases", json={**body, "state": state, **fields}, headers=api.platform)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def project(api: Api, project_id: str) -> dict[str, Any]:
    return dict((await api.http.get(f"/projects/{project_id}", headers=api.admin)).json()["project"])


async def test_a_servers_new_address_is_that_of_everything_on_it_and_of_nothing_else(api: Api) -> None:
    await in_containers(api, "ready")
    here, elsewhere = [await api.new_project(api.admin) for _ in range(2)]
    await allocate(api, here)
    for project_id in (here, elsewhere):
        body = release(project_id, server_handle="docker" if project_id == here else "local")
        await recorded(api, body, "pending")
        await recorded(api, body, "active", url="http://10.0.0.9:18000")
    await register(api, "docker", kind="container", public_ip="10.0.0.10")
    assert (await project(api, here))["url"] == "http://10.0.0.10:18000"
    assert (await project(api, elsewhere))["url"] == "http://10.0.0.9:18000"
    urls = {row["url"] for row in await api.rows("SELECT url FROM releases WHERE project_id = $1", here)}
    assert urls == {"http://10.0.0.10:18000"}


async def test_a_project_says_what_serves_after_a_rollback_that_failed(api: Api) -> None:
    project_id = await api.new_project(api.admin)
    before, failed = release(project_id), release(project_id)
    await recorded(api, before, "pending")
    await recorded(api, before, "active", url="http://x:1")
    await recorded(api, failed, "starting")
    await recorded(api, before, "superseded")
    await recorded(api, failed, "failed", error="it broke", serving="Nothing serves at the moment.")
    task = f"dep-{uuid4().hex[:12]}"
    await api.project_task(task, project_id, seq=1, state="failed", project_status="failed")
    shown = await project(api, project_id)
    assert (shown["serving"], shown["url"], shown["status"]) == ("Nothing serves at the moment.", None, "failed")
    await recorded(api, before, "starting")
    await recorded(api, before, "active", url="http://x:1")
    shown = await project(api, project_id)
    assert (shown["serving"], shown["url"], shown["status"]) == (None, "http://x:1", "active")
