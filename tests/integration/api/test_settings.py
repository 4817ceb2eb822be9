"""A project's settings: its own choice before the installation's, each with who and when, and work goes by them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from api.auth import AGENT_COMMANDS
from tests.support.api import Api, Headers, bearer, running_api


@pytest_asyncio.fixture
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """Each test has an installation of its own: its settings are for all."""
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


async def choose(api: Api, path: str, value: object, who: Headers) -> tuple[int, Any]:
    reply = await api.http.put(path, json={"value": value}, headers=who)
    return reply.status_code, reply.json()


def of(document: Any, name: str) -> tuple[object, str]:
    [found] = [item for item in document["items"] if item["name"] == name]
    return found["value"], found["source"]


async def test_a_projects_choice_counts_before_the_installations_and_that_before_the_default(api: Api) -> None:
    _, owner = await api.new_user()
    project_id = await api.new_project(owner)
    mine = f"/projects/{project_id}/settings"
    listed = (await api.http.get(mine, headers=owner)).json()
    assert of(listed, "max_rounds") == (3, "default")
    assert (await choose(api, "/settings/max_rounds", 5, api.admin))[0] == 200
    assert of((await api.http.get(mine, headers=owner)).json(), "max_rounds") == (5, "installation")
    assert of((await choose(api, f"{mine}/max_rounds", 2, owner))[1], "max_rounds") == (2, "project")
    assert of((await choose(api, f"{mine}/max_rounds", None, owner))[1], "max_rounds") == (5, "installation")
    assert of((await choose(api, "/settings/max_rounds", None, api.admin))[1], "max_rounds") == (3, "default")


async def test_who_has_chosen_what_and_when_is_kept(api: Api) -> None:
    user_id, owner = await api.new_user()
    project_id = await api.new_project(owner)
    path = f"/projects/{project_id}/settings/approve_deploys"
    for value in (True, True, False, None):
        assert (await choose(api, path, value, owner))[0] == 200
    history = (await api.http.get(f"{path}/history", headers=owner)).json()
    assert [(one["version"], one["value"], one["changed_by"]) for one in history["items"]] == [
        (3, None, user_id), (2, False, user_id), (1, True, user_id),
    ]  # fmt: skip
    assert all(one["changed_at"] for one in history["items"])


async def test_unknown_names_and_bad_values_are_refused_with_what_is_possible(api: Api) -> None:
    for name, value, status, code, said in [
        ("max_round", 3, 404, "UNKNOWN_SETTING", "max_rounds"),
        ("max_rounds", 0, 422, "BAD_SETTING_VALUE", "greater than or equal to 1"),
        ("max_rounds", "3", 422, "BAD_SETTING_VALUE", "integer"),
        ("agent", "hal", 422, "BAD_SETTING_VALUE", "claude-code"),
        ("approve_deploys", 1, 422, "BAD_SETTING_VALUE", "bool"),
        ("egress_hosts", ["x" * 300], 422, "BAD_SETTING_VALUE", "200"),
        (
            "egress_hosts",
            ["packages.example.net", "https://packages.example.net/"],
            422,
            "BAD_SETTING_VALUE",
            "names of hosts",
        ),
    ]:
        found, problem = await choose(api, f"/settings/{name}", value, api.admin)
        assert (found, problem["code"]) == (status, code), problem
        assert said in problem["detail"]
    unknown = await api.http.get("/settings/nothing/history", headers=api.admin)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "UNKNOWN_SETTING")
    assert await api.rows("SELECT * FROM settings") == []


async def test_the_platform_learns_what_agents_of_a_project_may_reach(api: Api) -> None:
    _, owner = await api.new_user()
    project_id = await api.new_project(owner)
    path = f"/internal/projects/{project_id}/egress"
    assert (await api.http.get(path, headers=owner)).status_code == 403
    assert (await api.http.get(path, headers=api.platform)).json() == {"hosts": []}
    assert (await choose(api, "/settings/egress_hosts", ["*.example.org"], api.admin))[0] == 200
    assert (await api.http.get(path, headers=api.platform)).json() == {"hosts": ["*.example.org"]}
    assert (await choose(api, f"/projects/{project_id}/settings/egress_hosts", ["*"], owner))[0] == 200
    assert (await api.http.get(path, headers=api.platform)).json() == {"hosts": ["*"]}


async def test_only_admins_choose_for_all_and_only_owners_for_a_project(api: Api) -> None:
    _, owner = await api.new_user()
    _, stranger = await api.new_user()
    project_id = await api.new_project(owner)
    body = {"project_id": project_id, "commands": sorted(AGENT_COMMANDS)}
    agent = bearer((await api.http.post("/tokens", json=body, headers=owner)).json()["token"])
    for who, path, status in [
        (owner, "/settings/max_rounds", 403),
        (stranger, f"/projects/{project_id}/settings/max_rounds", 404),
        (agent, f"/projects/{project_id}/settings/max_rounds", 403),
    ]:
        assert (await choose(api, path, 5, who))[0] == status, path
    assert (await api.http.get("/settings", headers=owner)).status_code == 403


async def test_new_work_goes_by_the_settings_unless_the_request_says_otherwise(api: Api) -> None:
    _, owner = await api.new_user()
    project_id = await api.new_project(owner)
    chosen = {"approve_deploys": True, "max_rounds": 7, "turn_timeout_s": 60, "question_reminder_s": 600, "watch_s": 45}
    for name, value in chosen.items():
        assert (await choose(api, f"/projects/{project_id}/settings/{name}", value, owner))[0] == 200
    assert (await choose(api, "/settings/agent", "claude-code", api.admin))[0] == 200

    async def started(path: str, **fields: object) -> Any:
        body = {"request_id": uuid4().hex, "project_id": project_id, **fields}
        assert (await api.http.post(path, json=body, headers=owner)).status_code == 202
        return api.gateway.started[-1]

    delivery = await started("/deliveries", wish="x")
    assert (delivery.require_approval, delivery.max_rounds, delivery.agent) == (True, 7, "claude-code")
    assert (delivery.turn_timeout_s, delivery.question_reminder_s) == (60, 600)
    deploy = await started("/deploys")
    assert (deploy.require_approval, deploy.watch_s, delivery.watch_s) == (True, 45, 45)
    assert (await started("/engineering", wish="x")).turn_timeout_s == 60
    other = await started("/deliveries", wish="x", require_approval=False, max_rounds=1, agent="scripted")
    assert (other.require_approval, other.max_rounds, other.agent) == (False, 1, "scripted")
