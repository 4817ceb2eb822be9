"""Lists come in parts: together they are the whole, each row once, whatever happens meanwhile."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from runtime.api_client import ApiClient
from tests.support.api import Api, Headers, release, running_api, served
from tests.unit.api.test_openapi import routes

WITH_SEQ = {"/tasks/{task_id}/events", "/workers/{worker_id}/events"}
"""Continued by the `seq` of the last event."""
SMALL = {
    "/queues", "/settings", "/projects/{project_id}/settings", "/projects/{project_id}/secrets", "/platform-secrets",
    "/servers/{handle}/credentials",
}  # fmt: skip
"""As many as there are settings, queues of the platform, or names that one project or the platform itself uses."""
REPORTS = {"/costs"}
"""The largest lines only: `more` says how many there are beside them, and a total is of all."""
INTERNAL = {
    "/internal/projects/{project_id}/secrets", "/internal/tasks", "/internal/workers", "/internal/releases/active",
}  # fmt: skip
"""Read by the platform only: whole, or continued by an id."""


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


async def parts(api: Api, path: str, headers: Headers, **query: Any) -> list[list[dict[str, Any]]]:
    found, cursor = [], None
    while True:
        params = query if cursor is None else {**query, "cursor": cursor}
        reply = await api.http.get(path, params=params, headers=headers)
        assert reply.status_code == 200, reply.text
        found.append(reply.json()["items"])
        if (cursor := reply.json()["next_cursor"]) is None:
            return found


async def test_every_list_has_a_cursor(api: Api) -> None:
    description = api.app.openapi()
    lists = set()
    for route in routes(api.app):
        if "GET" in route.methods and route.response_model and "items" in route.response_model.model_fields:
            lists.add(route.path)
            if route.path in REPORTS:
                assert {"more", "total"} <= set(route.response_model.model_fields), route.path
                continue
            if route.path in SMALL | WITH_SEQ | INTERNAL:
                continue
            names = {parameter["name"] for parameter in description["paths"][route.path]["get"]["parameters"]}
            assert {"cursor", "limit"} <= names, route.path
    assert len(lists) >= 15


async def test_the_parts_of_each_list_are_together_the_whole(api: Api) -> None:
    _, mine = await api.new_user()
    project_id = (await api.new_project(mine), await api.new_project(mine), await api.new_project(mine))[0]
    for _ in range(5):
        await api.new_question(await api.new_task(project_id), project_id)
        await api.http.put("/internal/releases", json=release(project_id), headers=api.platform)
        await api.new_user()
    for path, headers in (
        ("/projects", mine), ("/tasks", mine), ("/questions", mine), ("/users", api.admin), ("/audit", api.admin),
        (f"/projects/{project_id}/releases", mine), ("/credentials", api.admin), ("/servers", api.admin),
    ):  # fmt: skip
        [whole] = await parts(api, path, headers, limit=500)
        pieces = await parts(api, path, headers, limit=2)
        if path in {"/audit", "/credentials"}:  # reading them adds nothing, but another test may
            assert [row for piece in pieces for row in piece][-len(whole) :] == whole
        else:
            assert [row for piece in pieces for row in piece] == whole, path
        assert all(len(piece) == 2 for piece in pieces[:-1])


async def test_a_row_that_comes_meanwhile_shifts_nothing(api: Api) -> None:
    _, mine = await api.new_user()
    made = [await api.new_project(mine) for _ in range(4)]
    first = (await api.http.get("/projects?limit=2", headers=mine)).json()
    await api.new_project(mine)
    cursor = first["next_cursor"]
    second = (await api.http.get("/projects", params={"limit": 2, "cursor": cursor}, headers=mine)).json()
    assert [row["id"] for row in first["items"] + second["items"]] == made[::-1]


def forged(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "=" * 8, "A" * 999, forged({}), forged([]), forged([1, 2]), forged(["2026-01-01T00:00:00", "a"]),
     forged(["2026-01-01T00:00:00+00:00", "a\x00"]), forged(["2026-01-01T00:00:00+00:00", True]), forged([[], "a"]),
     forged(["0001-01-01T00:00:00+14:00", "a"]), forged([10**30, 1])],
)  # fmt: skip
async def test_a_cursor_that_no_list_gave_is_refused(api: Api, cursor: str) -> None:
    for path in ("/projects", "/users", "/audit"):
        reply = await api.http.get(path, params={"cursor": cursor}, headers=api.admin)
        assert (reply.status_code, reply.json()["code"]) == (422, "INVALID_INPUT"), (path, reply.text)


async def test_a_cursor_shows_nobody_more_than_they_may_see(api: Api) -> None:
    (_, mine), (_, other) = await api.new_user(), await api.new_user()
    for headers in (mine, other, mine, other):
        await api.new_project(headers)
    cursor = (await api.http.get("/projects?limit=1", headers=mine)).json()["next_cursor"]
    found = (await api.http.get("/projects", params={"cursor": cursor}, headers=other)).json()["items"]
    own = (await api.http.get("/projects", headers=other)).json()["items"]
    assert all(row in own for row in found)


async def test_the_client_reads_all_parts(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.api_client._PAGE", 2)
    _, mine = await api.new_user()
    made = [await api.new_project(mine) for _ in range(5)]
    async with served(api.app) as url, ApiClient(url, mine["Authorization"].split()[1]) as client:
        assert [project.id for project in await client.projects()] == made[::-1]
