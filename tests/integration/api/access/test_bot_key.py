"""The bot's key acts for the person of the update, with that person's rights: whoever takes it is no administrator."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from api import auth
from tests.integration.api.test_access import valid_body
from tests.support.api import Api, Headers, running_api
from tests.unit.api.test_openapi import PUBLIC, access_rules, routes

LASTING = {
    "/tokens", "/credentials", "/credentials/{credential_id}", "/projects/{project_id}/transfer",
    "/projects/{project_id}/secrets/{name}/show", "/git/{slug}.git/info/refs", "/git/{slug}.git/git-upload-pack",
    "/git/{slug}.git/git-receive-pack",
}  # fmt: skip
"""What a person does with a key of their own only: it would outlive the chat, or take something out of it."""


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


def speaking_for(api: Api, user_id: int) -> Headers:
    return api.bot | {"X-Orchestrator-User": str(user_id)}


async def test_the_bots_key_makes_nobody_an_administrator_and_no_key_that_outlives_it(api: Api) -> None:
    as_admin = speaking_for(api, 1)
    for body in ({"user_id": 901, "role": "admin"}, {"user_id": 901, "role": "member"}):
        reply = await api.http.post("/users", json=body, headers=as_admin)
        assert reply.status_code == (403 if body["role"] == "admin" else 201), reply.text
        assert not reply.json().get("api_key")
    assert await api.rows("SELECT 1 FROM credentials WHERE user_id = 901") == []


async def test_through_the_bot_an_administrator_reaches_what_a_chat_needs_and_nothing_else(api: Api) -> None:
    as_admin = speaking_for(api, 1)
    open_ones = set()
    for route in routes(api.app):
        rules = access_rules(route)
        if route.path in PUBLIC or not rules or rules[0].kind in {"platform", "bot"}:
            continue
        is_closed = rules[0].kind == "admin" or route.path in LASTING
        path = route.path.format(
            project_id="p", task_id="t", question_id="q", release_id="r", sha256="0" * 64, name="max_rounds",
            handle="local", user_id="1", screen_id="s", update_id="u", credential_id="c", check_id="k",
            slug="s-0001", service="git-upload-pack", worker_id="w", agent="codex",
            approval_id="a",
        )  # fmt: skip
        for method in route.methods - {"HEAD"}:
            reply = await api.http.request(method, path, json=valid_body(route.path, "p"), headers=as_admin)
            if is_closed and reply.status_code not in {403, 422}:
                open_ones.add((method, route.path))
    assert open_ones == {("GET", "/users")}
    assert auth.admin_in_chat_too.in_chat


async def test_through_the_bot_an_administrator_sees_only_their_own_projects(api: Api) -> None:
    _, owner = await api.new_user()
    theirs, own = await api.new_project(owner), await api.new_project(api.admin)
    listed = (await api.http.get("/projects?limit=500", headers=speaking_for(api, 1))).json()["items"]
    assert own in {project["id"] for project in listed}
    assert theirs not in {project["id"] for project in listed}
    for method, path, body in (
        ("GET", f"/projects/{theirs}", None),
        ("PUT", f"/projects/{theirs}/secrets/NAME", {"value": "stolen"}),
        ("POST", "/deliveries", {"request_id": uuid4().hex, "project_id": theirs, "wish": "w"}),
    ):
        reply = await api.http.request(method, path, json=body, headers=speaking_for(api, 1))
        assert reply.status_code == 404, reply.text


async def test_the_bot_itself_and_a_stranger_reach_nothing(api: Api) -> None:
    for headers in (api.bot, speaking_for(api, 999_999)):
        for path in ("/projects", "/users", "/audit", "/credentials"):
            assert (await api.http.get(path, headers=headers)).status_code == 403
