"""What the API keeps for a bot, and in whose name the bot may act."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from runtime import private_files
from tests.support.api import Api, Headers, bearer, running_api
from tests.unit.api.test_openapi import routes

BOT = 424242


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def bot(api: Api) -> Headers:
    return bearer(private_files.read(api.settings.bot_key_file).strip())


def acting(bot: Headers, user_id: int) -> Headers:
    return {**bot, "X-Orchestrator-User": str(user_id)}


def wish(user_id: int, **fields: Any) -> dict[str, Any]:
    return {"bot_id": BOT, "chat_id": user_id, "user_id": user_id, "language": "ru", "wish": "Сделай блог", **fields}


async def opened(api: Api, bot: Headers) -> tuple[str, int]:
    user_id, _ = await api.new_user()
    screen = f"tg-{uuid4().hex[:10]}"
    assert (await api.http.put(f"/chat/screens/{screen}", json=wish(user_id), headers=bot)).status_code == 200
    return screen, user_id


async def test_a_person_is_the_actor_of_what_the_bot_asks_in_their_name(api: Api, bot: Headers) -> None:
    user_id, _ = await api.new_user()
    actor = (await api.http.get("/whoami", headers=acting(bot, user_id))).json()["actor"]
    assert actor == {"user_id": user_id, "role": "member", "via": "telegram"}
    project_id = await api.new_project(acting(bot, user_id))
    body = {"request_id": "tg-1", "project_id": project_id, "wish": "x"}
    assert (await api.http.post("/deliveries", json=body, headers=acting(bot, user_id))).status_code == 202
    assert api.gateway.started[-1].actor is not None
    assert api.gateway.started[-1].actor.model_dump() == {"user_id": user_id, "role": "member", "via": "telegram"}


async def test_the_bot_acts_for_no_one_whom_the_platform_does_not_know(api: Api, bot: Headers) -> None:
    for path in ("/whoami", "/projects"):
        reply = await api.http.get(path, headers=acting(bot, 999_999_999))
        assert (reply.status_code, reply.json()["code"]) == (403, "NOT_ALLOWED"), path


async def test_without_a_person_the_bot_reaches_its_own_routes_only(api: Api, bot: Headers) -> None:
    for route in routes(api.app):
        if route.path in {"/health", "/healthz", "/whoami"} or route.path.startswith("/chat"):
            continue
        path = route.path
        for part, value in (("{sha256}", "0" * 64), ("{user_id}", "3"), ("{name}", "X")):
            path = path.replace(part, value)
        path = path.replace("{", "").replace("}", "").replace(":path", "")
        for method in route.methods - {"HEAD"}:
            reply = await api.http.request(method, path, headers=bot)
            assert reply.status_code in {403, 422}, (method, path, reply.text)


async def test_only_the_bot_reaches_its_routes(api: Api, bot: Headers) -> None:
    _, member = await api.new_user()
    for headers in (member, api.admin, acting(bot, 1)):
        for method, path, body in (
            ("GET", f"/chat/screens?bot_id={BOT}", None),
            ("GET", f"/chat/visits/1?bot_id={BOT}&chat_id=1", None),
            ("PUT", "/chat/screens/x1", wish(1)),
            ("PUT", "/chat/updates/x1", {"subject": "s"}),
        ):
            assert (await api.http.request(method, path, json=body, headers=headers)).status_code == 403, path


async def test_the_users_header_changes_nothing_for_anybody_elses_key(api: Api) -> None:
    user_id, member = await api.new_user()
    reply = await api.http.get("/whoami", headers={**member, "X-Orchestrator-User": "1"})
    assert reply.json()["actor"]["user_id"] == user_id


async def test_a_repeated_wish_finds_the_screen_as_it_is_by_now(api: Api, bot: Headers) -> None:
    screen, user_id = await opened(api, bot)
    path = f"/chat/screens/{screen}"
    await api.http.patch(path, json={"message_id": 5, "task_id": "dlv-1"}, headers=bot)
    again = (await api.http.put(path, json=wish(user_id, wish="other"), headers=bot)).json()
    assert (again["message_id"], again["task_id"], again["wish"]) == (5, "dlv-1", "Сделай блог")


async def test_open_screens_are_found_again_and_final_ones_stay_final(api: Api, bot: Headers) -> None:
    screen, user_id = await opened(api, bot)
    done, _ = await opened(api, bot)
    await api.http.patch(f"/chat/screens/{done}", json={"final": True}, headers=bot)
    await api.http.patch(f"/chat/screens/{done}", json={"final": False, "message_id": 3}, headers=bot)
    found = (await api.http.get("/chat/screens", params={"bot_id": BOT, "final": "false"}, headers=bot)).json()
    ids = {item["id"] for item in found["items"]}
    assert screen in ids
    assert done not in ids
    mine = {"bot_id": BOT, "chat_id": user_id, "user_id": user_id}
    assert [i["id"] for i in (await api.http.get("/chat/screens", params=mine, headers=bot)).json()["items"]] == [
        screen
    ]


async def test_a_screen_keeps_its_task_and_may_get_another_message(api: Api, bot: Headers) -> None:
    screen, _ = await opened(api, bot)
    path = f"/chat/screens/{screen}"
    await api.http.patch(path, json={"message_id": 5, "task_id": "dlv-1", "project_id": "p-1"}, headers=bot)
    await api.http.patch(path, json={"forget_message": True}, headers=bot)
    assert (await api.http.get(path, headers=bot)).json()["message_id"] is None
    changed = (await api.http.patch(path, json={"message_id": 9, "task_id": "dlv-2"}, headers=bot)).json()
    assert (changed["message_id"], changed["task_id"], changed["project_id"]) == (9, "dlv-1", "p-1")


async def test_the_first_meaning_of_an_update_counts(api: Api, bot: Headers) -> None:
    path = f"/chat/updates/tg-{uuid4().hex}"
    first = (await api.http.put(path, json={"subject": "q-1"}, headers=bot)).json()
    again = (await api.http.put(path, json={"subject": "q-2"}, headers=bot)).json()
    assert (first["subject"], first["known"]) == ("q-1", False)
    assert (again["subject"], again["known"]) == ("q-1", True)


async def test_a_screen_marks_what_asked_for_it_as_a_wish(api: Api, bot: Headers) -> None:
    screen, _ = await opened(api, bot)
    again = (await api.http.put(f"/chat/updates/{screen}", json={"subject": "q-1"}, headers=bot)).json()
    assert (again["subject"], again["known"]) == ("wish", True)


async def test_what_was_an_answer_opens_no_screen(api: Api, bot: Headers) -> None:
    user_id, _ = await api.new_user()
    update = f"tg-{uuid4().hex}"
    await api.http.put(f"/chat/updates/{update}", json={"subject": "q-1"}, headers=bot)
    refused = await api.http.put(f"/chat/screens/{update}", json=wish(user_id), headers=bot)
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
    assert (await api.http.get(f"/chat/screens/{update}", headers=bot)).status_code == 404


async def test_the_bot_learns_who_writes_and_what_that_chat_shows(api: Api, bot: Headers) -> None:
    screen, user_id = await opened(api, bot)
    elsewhere = f"tg-{uuid4().hex[:10]}"
    await api.http.put(f"/chat/screens/{elsewhere}", json=wish(user_id, chat_id=-7), headers=bot)
    params = {"bot_id": BOT, "chat_id": user_id}
    visit = (await api.http.get(f"/chat/visits/{user_id}", params=params, headers=bot)).json()
    # In the private chat also what is shown to this person elsewhere: there secrets are sent.
    assert (visit["role"], [one["id"] for one in visit["screens"]]) == ("member", [elsewhere, screen])
    await api.http.patch(f"/chat/screens/{elsewhere}", json={"final": True, "chat_id": -8}, headers=bot)
    in_group = {"bot_id": BOT, "chat_id": -8}
    shown = (await api.http.get(f"/chat/visits/{user_id}", params=in_group, headers=bot)).json()["screens"]
    assert [(one["id"], one["chat_id"]) for one in shown] == [(elsewhere, -8)], "in a group only what is shown there"
    later = (await api.http.get(f"/chat/visits/{user_id}", params=params, headers=bot)).json()["screens"]
    assert [one["id"] for one in later] == [screen, elsewhere], "what is not final comes first"
    stranger = (await api.http.get("/chat/visits/999999999", params=params, headers=bot)).json()
    assert (stranger["role"], stranger["screens"]) == (None, [])


async def test_a_person_chooses_a_language(api: Api, bot: Headers) -> None:
    user_id, _ = await api.new_user()
    headers = acting(bot, user_id)
    assert (await api.http.get("/whoami", headers=headers)).json()["language"] is None
    await api.http.put("/whoami/language", json={"language": "ru"}, headers=headers)
    assert (await api.http.get("/whoami", headers=headers)).json()["language"] == "ru"
    assert (await api.http.put("/whoami/language", json={"language": "de"}, headers=headers)).status_code == 422
