"""How the services of a release are, as the platform has seen them last, and where people reach them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.support.api import Api, running_api

LINKS = {"backend": "http://127.0.0.1:18000", "tg_bot": "https://t.me/demo_bot"}


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest_asyncio.fixture
async def project_id(api: Api) -> str:
    return await api.new_project(api.admin)


async def record(api: Api, project_id: str, release_id: str, state: str, **more: object) -> dict[str, Any]:
    body = {"id": release_id, "project_id": project_id, "task_id": "dep-1", "commit": "a" * 40, "state": state, **more}
    reply = await api.http.put("/internal/releases", json=body, headers=api.platform)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def active(api: Api, project_id: str) -> str:
    release_id = f"rel-{uuid4().hex[:8]}"
    await record(api, project_id, release_id, "pending")
    await record(api, project_id, release_id, "active", url=LINKS["backend"], links=LINKS)
    return release_id


def seen(at: str, state: str, restarts: int = 0) -> dict[str, Any]:
    service = {
        "state": state,
        "since": at,
        "restarts": restarts,
        "error": "answered 500" if state == "unhealthy" else None,
    }
    return {"seen_at": at, "services": {"backend": service}}


async def look(api: Api, release_id: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = await api.http.put(f"/internal/releases/{release_id}/health", json=body, headers=api.platform)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def test_links_and_health_of_what_serves_are_shown_to_its_owner(api: Api, project_id: str) -> None:
    release_id = await active(api, project_id)
    await look(api, release_id, seen("2026-01-01T00:00:00Z", "unhealthy", 3))
    release = (await api.http.get(f"/projects/{project_id}", headers=api.admin)).json()["active_release"]
    assert release["links"] == LINKS
    assert (
        release["health"]["services"]["backend"]["state"],
        release["health"]["services"]["backend"]["restarts"],
    ) == (
        "unhealthy",
        3,
    )


async def test_an_earlier_look_that_arrives_late_changes_nothing(api: Api, project_id: str) -> None:
    release_id = await active(api, project_id)
    await look(api, release_id, seen("2026-01-01T00:01:00Z", "healthy"))
    told = await look(api, release_id, seen("2026-01-01T00:00:00Z", "unhealthy"))
    assert told["health"]["services"]["backend"]["state"] == "healthy"


async def test_a_release_that_no_longer_serves_has_no_health(api: Api, project_id: str) -> None:
    first = await active(api, project_id)
    await look(api, first, seen("2026-01-01T00:00:00Z", "healthy"))
    await active(api, project_id)
    told = await look(api, first, seen("2026-01-01T00:01:00Z", "unhealthy"))
    assert told["health"] is None


async def test_only_the_platform_records_health_and_lists_what_serves(api: Api, project_id: str) -> None:
    release_id = await active(api, project_id)
    body = seen("2026-01-01T00:00:00Z", "healthy")
    refused = await api.http.put(f"/internal/releases/{release_id}/health", json=body, headers=api.admin)
    assert refused.status_code in {401, 403, 404}
    found = (await api.http.get("/internal/releases/active", headers=api.platform)).json()["items"]
    assert release_id in {item["id"] for item in found}
    assert (await api.http.get("/internal/releases/active", headers=api.admin)).status_code in {401, 403, 404}
    missing = await api.http.put("/internal/releases/rel-none/health", json=body, headers=api.platform)
    assert missing.status_code == 404
