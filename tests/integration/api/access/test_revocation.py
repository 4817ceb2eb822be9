"""What was taken away stays away: keys, logins, links, tokens, roles, people."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from api.bootstrap import bootstrap
from runtime import private_files
from runtime.settings import Settings
from tests.support.api import Api, Headers, bearer, running_api, served
from tests.support.patience import within


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest_asyncio.fixture
async def own_api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One whose first administrator may be changed."""
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


async def status(api: Api, headers: Headers, path: str = "/whoami") -> int:
    return (await api.http.get(path, headers=headers)).status_code


async def new_login(api: Api, admin: Headers) -> Headers:
    """The cookie of a browser that has used a link of this administrator."""
    ticket = (await api.http.post("/web-ui-tickets", headers=admin)).json()["url"].partition("ticket=")[2]
    reply = await api.http.post("/ui-login", data={"ticket": ticket})
    api.http.cookies.clear()
    assert reply.status_code == 303, reply.text
    return {"Cookie": reply.headers["set-cookie"].split(";")[0]}


async def is_logged_in(api: Api, cookie: Headers) -> bool:
    reply = await api.http.post("/codec/decode", content="{}", headers=cookie | {"Origin": api.settings.site_url})
    return reply.status_code == 200


async def token_for(api: Api, owner: Headers, project_id: str) -> Headers:
    body = {"project_id": project_id, "commands": ["task.show", "project.show", "task.watch"]}
    return bearer((await api.http.post("/tokens", json=body, headers=owner)).json()["token"])


# A key that was replaced or ended


async def test_the_replaced_key_of_the_administrator_does_not_come_back_with_the_next_start(own_api: Api) -> None:
    former = own_api.admin
    reply = await own_api.http.post("/users/1/keys", headers=former)
    new = bearer(reply.json()["api_key"])
    assert (await status(own_api, former), await status(own_api, new)) == (401, 200)
    await bootstrap(own_api.settings, own_api.database_url)
    assert (await status(own_api, former), await status(own_api, new)) == (401, 200)


async def test_a_key_file_that_was_made_anew_by_hand_is_registered(own_api: Api) -> None:
    await own_api.http.post("/users/1/keys", headers=own_api.admin)
    (own_api.settings.home / "keys" / "admin.key").unlink()
    made = await bootstrap(own_api.settings, own_api.database_url)
    assert await status(own_api, bearer(private_files.read(made.admin_key_file).strip()), "/users") == 200


async def test_an_administrator_who_was_demoted_or_removed_does_not_come_back_with_the_next_start(own_api: Api) -> None:
    _, other = await own_api.new_user("admin")
    reply = await own_api.http.patch("/users/1", json={"role": "member"}, headers=other)
    assert reply.status_code == 200, reply.text
    await bootstrap(own_api.settings, own_api.database_url)
    assert await status(own_api, own_api.admin, "/users") == 403
    assert (await own_api.http.post("/users/1/remove", json={}, headers=other)).status_code == 200
    await bootstrap(own_api.settings, own_api.database_url)
    assert await status(own_api, own_api.admin, "/users") == 401


async def test_another_administrator_of_the_settings_gets_the_key_file_unless_they_are_none(own_api: Api) -> None:
    member_id, _ = await own_api.new_user()
    for user_id, expected in ((member_id, 1), (4711, 4711)):
        settings = Settings(home=own_api.settings.home, admin_user_id=user_id)
        await bootstrap(settings, own_api.database_url)
        actor = (await own_api.http.get("/whoami", headers=own_api.admin)).json()["actor"]
        assert (actor["user_id"], actor["role"]) == (expected, "admin")


async def test_replacing_a_key_ends_logins_links_and_tokens_too(api: Api) -> None:
    user_id, admin = await api.new_user("admin")
    project_id = await api.new_project(admin)
    cookie, token = await new_login(api, admin), await token_for(api, admin, project_id)
    link = (await api.http.post("/web-ui-tickets", headers=admin)).json()["url"]
    assert await is_logged_in(api, cookie)
    assert await status(api, token, f"/projects/{project_id}") == 200
    await api.http.post(f"/users/{user_id}/keys", headers=api.admin)
    assert not await is_logged_in(api, cookie)
    assert await status(api, token, f"/projects/{project_id}") == 401
    assert (await api.http.post("/ui-login", data={"ticket": link.partition("ticket=")[2]})).status_code == 401


async def test_a_further_key_leaves_the_others(api: Api) -> None:
    user_id, first = await api.new_user()
    body = {"keep_others": True, "name": "laptop", "ttl_s": 3600}
    reply = await api.http.post(f"/users/{user_id}/keys", json=body, headers=api.admin)
    assert reply.json()["expires_at"]
    assert [await status(api, headers) for headers in (first, bearer(reply.json()["api_key"]))] == [200, 200]


async def test_a_key_ends_with_its_time(api: Api) -> None:
    user_id = uuid4().int % 2**50
    reply = await api.http.post("/users", json={"user_id": user_id, "key_ttl_s": 60}, headers=api.admin)
    key = bearer(reply.json()["api_key"])
    assert await status(api, key) == 200
    await api.rows("UPDATE credentials SET expires_at = now() - interval '1 second' WHERE user_id = $1", user_id)
    assert await status(api, key) == 401


async def test_nothing_outlives_the_key_it_was_made_with(api: Api) -> None:
    user_id, lasting = await api.new_user("admin")
    project_id = await api.new_project(lasting)
    body = {"keep_others": True, "ttl_s": 60}
    reply = await api.http.post(f"/users/{user_id}/keys", json=body, headers=api.admin)
    short, until = bearer(reply.json()["api_key"]), reply.json()["expires_at"]
    await token_for(api, short, project_id)
    await new_login(api, short)
    await api.http.post("/web-ui-tickets", headers=short)
    made = [item for kind in ("token", "session", "ticket") for item in await credentials(api, short, kind=kind)]
    assert len(made) == 3
    assert {item["expires_at"] for item in made} == {until}
    token = await token_for(api, lasting, project_id)
    assert await status(api, token, f"/projects/{project_id}") == 200


async def test_what_is_made_while_its_key_ends_never_works(api: Api) -> None:
    user_id, admin = await api.new_user("admin")
    project_id = await api.new_project(admin)
    cookie, token = await new_login(api, admin), await token_for(api, admin, project_id)
    # As if both had been written after everything that was made with the key had been ended.
    await api.rows("UPDATE credentials SET ended_at = now() WHERE user_id = $1 AND kind = 'key'", user_id)
    assert not await is_logged_in(api, cookie)
    assert await status(api, token, f"/projects/{project_id}") == 401


# Listed and ended


async def credentials(api: Api, headers: Headers, **query: object) -> list[dict[str, object]]:
    reply = await api.http.get("/credentials", params=query, headers=headers)
    assert reply.status_code == 200, reply.text
    items: list[dict[str, object]] = reply.json()["items"]
    return items


async def test_everything_with_which_somebody_comes_in_is_listed_and_none_of_its_secrets(api: Api) -> None:
    user_id, admin = await api.new_user("admin")
    cookie, token = await new_login(api, admin), await token_for(api, admin, await api.new_project(admin))
    await api.http.post("/web-ui-tickets", headers=admin)
    reply = await api.http.get("/credentials", params={"user_id": user_id}, headers=api.admin)
    assert sorted(item["kind"] for item in reply.json()["items"]) == ["key", "session", "ticket", "token"]
    secrets = [admin["Authorization"].split()[1], token["Authorization"].split()[1], cookie["Cookie"].partition("=")[2]]
    hashes = {row["secret_hash"] for row in await api.rows("SELECT secret_hash FROM credentials")}
    assert not [secret for secret in [*secrets, *hashes] if secret in reply.text]


@pytest.mark.parametrize("kind", ["key", "token", "session", "ticket"])
async def test_each_of_them_can_be_ended_alone(api: Api, kind: str) -> None:
    user_id, admin = await api.new_user("admin")
    project_id = await api.new_project(admin)
    cookie, token = await new_login(api, admin), await token_for(api, admin, project_id)
    link = (await api.http.post("/web-ui-tickets", headers=admin)).json()["url"].partition("ticket=")[2]
    [item] = await credentials(api, api.admin, user_id=user_id, kind=kind)
    for _ in range(2):
        assert (await api.http.delete(f"/credentials/{item['id']}", headers=api.admin)).status_code == 200
    works = {
        "key": await status(api, admin) == 200,
        "token": await status(api, token, f"/projects/{project_id}") == 200,
        "session": await is_logged_in(api, cookie),
        "ticket": (await api.http.post("/ui-login", data={"ticket": link})).status_code == 303,
    }
    api.http.cookies.clear()
    ended = set(works) if kind == "key" else {kind}
    assert {name for name, lives in works.items() if not lives} == ended
    assert await credentials(api, api.admin, user_id=user_id, kind=kind, include_ended=True)


async def test_a_person_sees_and_ends_only_their_own(api: Api) -> None:
    user_id, mine = await api.new_user()
    other_id, other = await api.new_user()
    [theirs] = await credentials(api, other)
    assert {item["user_id"] for item in await credentials(api, mine)} == {user_id}
    assert await credentials(api, mine, user_id=other_id) == []
    refused = await api.http.delete(f"/credentials/{theirs['id']}", headers=mine)
    assert (refused.status_code, refused.json()["code"]) == (404, "NOT_FOUND")
    assert await status(api, other) == 200


# Roles and people


async def test_a_demoted_administrator_is_a_member_at_once(api: Api) -> None:
    user_id, admin = await api.new_user("admin")
    cookie = await new_login(api, admin)
    reply = await api.http.patch(f"/users/{user_id}", json={"role": "member"}, headers=api.admin)
    assert reply.json()["role"] == "member"
    assert await status(api, admin, "/users") == 403
    assert not await is_logged_in(api, cookie)


async def test_a_demoted_administrator_keeps_no_agent_in_projects_of_others(api: Api) -> None:
    user_id, admin = await api.new_user("admin")
    _, owner = await api.new_user()
    own, theirs = await api.new_project(admin), await api.new_project(owner)
    in_own, in_theirs = await token_for(api, admin, own), await token_for(api, admin, theirs)
    of_owner = await token_for(api, owner, theirs)
    await api.http.patch(f"/users/{user_id}", json={"role": "member"}, headers=api.admin)
    assert await status(api, in_theirs, f"/projects/{theirs}") == 401
    assert await status(api, in_own, f"/projects/{own}") == 200
    assert await status(api, of_owner, f"/projects/{theirs}") == 200


async def test_a_blocked_person_is_out_by_every_door_and_unblocked_in_again(api: Api) -> None:
    user_id, mine = await api.new_user()
    project_id = await api.new_project(mine)
    token = await token_for(api, mine, project_id)
    through_bot = api.bot | {"X-Orchestrator-User": str(user_id)}
    doors = (mine, through_bot)
    await api.http.patch(f"/users/{user_id}", json={"state": "blocked"}, headers=api.admin)
    for headers in doors:
        reply = await api.http.get("/projects", headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (403, "NOT_ALLOWED")
        assert "blocked" in reply.json()["detail"]
    assert await status(api, token, f"/projects/{project_id}") == 401
    visit = await api.http.get(f"/chat/visits/{user_id}?bot_id=1&chat_id=1", headers=api.bot)
    assert visit.json()["role"] is None
    await api.http.patch(f"/users/{user_id}", json={"state": "active"}, headers=api.admin)
    assert [await status(api, headers, "/projects") for headers in doors] == [200, 200]
    assert await status(api, token, f"/projects/{project_id}") == 401, "tokens are made anew"


async def test_there_is_always_an_administrator(own_api: Api) -> None:
    for method, path, body in (
        ("PATCH", "/users/1", {"role": "member"}),
        ("PATCH", "/users/1", {"state": "blocked"}),
        ("POST", "/users/1/remove", {"archive_projects": True}),
    ):
        reply = await own_api.http.request(method, path, json=body, headers=own_api.admin)
        assert (reply.status_code, reply.json()["code"]) == (409, "CONFLICT")
    assert await status(own_api, own_api.admin, "/users") == 200


async def test_of_two_administrators_who_remove_each_other_at_once_one_stays(own_api: Api) -> None:
    other_id, other = await own_api.new_user("admin")
    await asyncio.gather(
        own_api.http.patch(f"/users/{other_id}", json={"state": "blocked"}, headers=own_api.admin),
        own_api.http.patch("/users/1", json={"state": "blocked"}, headers=other),
    )
    left = [await status(own_api, headers, "/users") for headers in (own_api.admin, other)]
    assert sorted(left) == [200, 403]


async def test_what_becomes_of_projects_is_asked_before_a_person_is_removed(api: Api) -> None:
    user_id, mine = await api.new_user()
    await api.new_project(mine, name="bookshelf")
    reply = await api.http.post(f"/users/{user_id}/remove", json={}, headers=api.admin)
    assert (reply.status_code, reply.json()["code"]) == (409, "CONFLICT")
    assert "bookshelf" in reply.json()["detail"]
    assert await status(api, mine) == 200


async def test_projects_of_a_removed_person_are_handed_over(api: Api) -> None:
    (user_id, mine), (heir_id, heir) = await api.new_user(), await api.new_user()
    project_id = await api.new_project(mine)
    token = await token_for(api, mine, project_id)
    task_id = await api.new_task(project_id)
    body = {"hand_over_to": heir_id}
    reply = await api.http.post(f"/users/{user_id}/remove", json=body, headers=api.admin)
    assert reply.json()["projects"] == [project_id], reply.text
    shown = (await api.http.get(f"/projects/{project_id}", headers=heir)).json()["project"]
    assert shown["owner_id"] == heir_id
    assert (await api.http.post(f"/tasks/{task_id}/cancel", headers=heir)).status_code == 202
    assert [await status(api, headers) for headers in (mine, token)] == [401, 401]
    listed = (await api.http.get("/users?limit=500", headers=api.admin)).json()["items"]
    assert user_id not in {user["user_id"] for user in listed}


async def test_projects_are_not_handed_over_onto_one_of_the_same_name_nor_to_nobody(api: Api) -> None:
    (user_id, mine), (heir_id, heir) = await api.new_user(), await api.new_user()
    await api.new_project(mine, name="notes")
    await api.new_project(heir, name="notes")
    for to, code in ((heir_id, "CONFLICT"), (user_id, "INVALID_INPUT"), (99_999, "INVALID_INPUT")):
        reply = await api.http.post(f"/users/{user_id}/remove", json={"hand_over_to": to}, headers=api.admin)
        assert reply.json()["code"] == code
    assert await status(api, mine) == 200


async def test_projects_of_a_removed_person_are_archived_and_theirs_when_they_come_back(api: Api) -> None:
    user_id, mine = await api.new_user()
    project_id = await api.new_project(mine)
    body = {"archive_projects": True}
    assert (await api.http.post(f"/users/{user_id}/remove", json=body, headers=api.admin)).status_code == 200
    shown = await api.http.get(f"/projects/{project_id}", headers=api.admin)
    assert shown.json()["project"]["status"] == "archived"
    again = await api.http.post("/users", json={"user_id": user_id}, headers=api.admin)
    assert again.status_code == 201, again.text
    assert await status(api, mine) == 401, "the former key stays ended"
    assert await status(api, bearer(again.json()["api_key"]), f"/projects/{project_id}") == 200


async def test_nobody_is_removed_from_running_work_that_would_be_archived(api: Api) -> None:
    user_id, mine = await api.new_user()
    await api.new_task(await api.new_project(mine))
    body = {"archive_projects": True}
    reply = await api.http.post(f"/users/{user_id}/remove", json=body, headers=api.admin)
    assert reply.json()["code"] == "CONFLICT"
    assert await status(api, mine) == 200


# What is open when access ends


@pytest.mark.parametrize("how", ["replaced", "blocked", "ended", "removed"])
async def test_an_open_stream_ends_with_the_access_of_its_reader(api: Api, how: str) -> None:
    user_id, mine = await api.new_user()
    heir_id, _ = await api.new_user()
    project_id = await api.new_project(mine)
    task_id = await api.new_task(project_id, milestone={"type": "started", "request_id": "r", "message": "m"})
    token = await token_for(api, mine, project_id)
    reader = token if how == "ended" else mine
    async with (
        served(api.app) as url,
        httpx.AsyncClient(base_url=url) as client,
        client.stream("GET", f"/tasks/{task_id}/stream", headers=reader) as stream,
    ):
        chunks = stream.aiter_text()
        assert "started" in await anext(chunks)
        await take_away(api, how, user_id, heir_id)
        assert not await within(said(chunks), 5)


async def test_an_open_stream_of_somebody_elses_work_ends_with_the_role_of_its_reader(api: Api) -> None:
    user_id, admin = await api.new_user("admin")
    _, owner = await api.new_user()
    project_id = await api.new_project(owner)
    task_id = await api.new_task(project_id, milestone={"type": "started", "request_id": "r", "message": "m"})
    async with (
        served(api.app) as url,
        httpx.AsyncClient(base_url=url) as client,
        client.stream("GET", f"/tasks/{task_id}/stream", headers=admin) as stream,
    ):
        chunks = stream.aiter_text()
        assert "started" in await anext(chunks)
        await api.http.patch(f"/users/{user_id}", json={"role": "member"}, headers=api.admin)
        assert not await within(said(chunks), 5)


async def take_away(api: Api, how: str, user_id: int, heir_id: int) -> None:
    if how == "ended":
        [item] = await credentials(api, api.admin, user_id=user_id, kind="token")
        reply = await api.http.delete(f"/credentials/{item['id']}", headers=api.admin)
    elif how == "replaced":
        reply = await api.http.post(f"/users/{user_id}/keys", headers=api.admin)
    elif how == "removed":
        reply = await api.http.post(f"/users/{user_id}/remove", json={"hand_over_to": heir_id}, headers=api.admin)
    else:
        reply = await api.http.patch(f"/users/{user_id}", json={"state": "blocked"}, headers=api.admin)
    assert reply.is_success, reply.text


async def said(chunks: AsyncIterator[str]) -> list[str]:
    return [chunk async for chunk in chunks if "data:" in chunk]
