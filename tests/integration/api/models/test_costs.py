"""What agents cost, to whom it is shown; keys of the installation; what a task will probably cost."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.api.models.conftest import ModelWorld, Turn
from tests.support.api import Headers, projection
from tests.support.vendor import Answer, message_events, response_events


async def spend(models: ModelWorld, project_id: str, requests: int = 1, **fields: Any) -> Turn:
    """Six tenths of a cent for each request."""
    models.vendor.stream(message_events("claude-opus-5-5", 1000, 100, cache_read_input_tokens=0))
    turn = await models.turn(project_id, **fields)
    for _ in range(requests):
        assert (await turn.ask()).status_code == 200
    return turn


async def costs(models: ModelWorld, who: Headers, **params: str) -> Any:
    reply = await models.api.http.get("/costs", params=params, headers=who)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_costs_are_shown_to_whom_the_project_is_by_whatever_is_asked(models: ModelWorld) -> None:
    _, owner = await models.api.new_user()
    _, stranger = await models.api.new_user()
    mine, other = await models.api.new_project(owner), await models.api.new_project(owner)
    first = await spend(models, mine, 2)
    await spend(models, other, 1, role="reviewer")
    models.vendor.stream(response_events("gpt-6.1-sol", 1000, 100))
    codex = await models.turn(mine, agent="codex")
    await codex.ask("/v1/responses", "gpt-6.1-sol")
    models.vendor.stream(response_events("house-model", 1000, 100))
    await codex.ask("/v1/responses", "house-model")

    report = await costs(models, owner)
    assert {line["key"]: line["requests"] for line in report["items"]} == {mine: 4, other: 1}
    assert report["items"][0]["cost_usd"] > report["items"][1]["cost_usd"] == pytest.approx(0.006)
    assert (report["total"]["requests"], report["total"]["unknown_requests"]) == (5, 1)
    assert report["total"]["unknown_usd"] == pytest.approx(0.015)
    assert report["total"]["cost_usd"] == pytest.approx(sum(line["cost_usd"] for line in report["items"]))
    assert all(line["name"] for line in report["items"])
    by = {
        kind: {line["key"] for line in (await costs(models, owner, by=kind, project_id=mine))["items"]}
        for kind in ("task", "agent", "model", "role")
    }
    assert by == {
        "task": {first.body["task_id"], codex.body["task_id"]}, "agent": {"claude-code", "codex"},
        "model": {"claude-opus-5-5", "gpt-6.1-sol", "house-model"}, "role": {"developer"},
    }  # fmt: skip
    assert (await costs(models, stranger))["items"] == []
    hidden = await models.api.http.get("/costs", params={"project_id": mine}, headers=stranger)
    assert hidden.status_code == 404
    assert {mine, other} <= {line["key"] for line in (await costs(models, models.api.admin))["items"]}
    assert (await costs(models, owner, month="2020-02"))["total"]["requests"] == 0
    assert (await models.api.http.get("/costs", params={"month": "2026-13"}, headers=owner)).status_code == 422


async def test_a_month_has_a_budget_of_the_project_and_one_of_the_installation(models: ModelWorld) -> None:
    user_id, owner = await models.api.new_user()
    mine = await models.api.new_project(owner)
    before = (await costs(models, models.api.admin))["total"]["cost_usd"]
    await models.set("monthly_budget_usd", before + 0.0115)
    path = f"/projects/{mine}/settings/monthly_budget_usd"
    assert (await models.api.http.put(path, json={"value": 1000}, headers=owner)).status_code == 200
    turn = await spend(models, mine, 2)
    month = (await costs(models, owner))["month"]
    stopped = await turn.ask()
    assert stopped.status_code == 402
    limit = (await turn.spending())["limit"]
    assert (limit["scope"], limit["scope_id"]) == ("month", month), "an owner's setting raises no limit of all"
    shown = await costs(models, owner, project_id=mine)
    assert [budget["scope_id"] for budget in shown["budgets"]] == [f"{mine}:{month}"]
    all_budgets = (await costs(models, models.api.admin))["budgets"]
    assert [(budget["scope_id"], budget["limit_usd"]) for budget in all_budgets] == [
        (month, pytest.approx(before + 0.0115))
    ]
    raised = {"request_id": "month", "scope": "month", "scope_id": month, "add_usd": 1, "by": user_id}
    reply = await models.api.http.post("/internal/model-budgets", json=raised, headers=models.api.platform)
    assert (reply.status_code, reply.json()["limit_usd"]) == (200, pytest.approx(before + 1.0115))
    assert (await turn.ask()).status_code == 200


async def test_a_task_is_estimated_by_earlier_ones_and_its_error_is_shown(models: ModelWorld) -> None:
    _, owner = await models.api.new_user()
    mine = await models.api.new_project(owner)

    async def estimate(task_id: str, agent: str) -> Any:
        body = {"task_id": task_id, "project_id": mine, "agent": agent}
        reply = await models.api.http.post("/internal/cost-estimates", json=body, headers=models.api.platform)
        assert reply.status_code == 200, reply.text
        return reply.json()

    none = await estimate("task-none", "opencode")
    assert (none["expected_usd"], none["earlier_tasks"]) == (None, 0)
    for requests in (1, 2, 4):
        await spend(models, mine, requests, agent="factory-droid")
    found = await estimate("task-next", "factory-droid")
    assert (found["expected_usd"], found["low_usd"], found["high_usd"], found["earlier_tasks"]) == (
        pytest.approx(0.012), pytest.approx(0.006), pytest.approx(0.024), 3,
    )  # fmt: skip
    await spend(models, mine, 3, task_id="task-next", agent="factory-droid")
    assert await estimate("task-next", "factory-droid") == found
    lines = (await costs(models, owner, by="task", project_id=mine))["items"]
    [line] = [line for line in lines if line["key"] == "task-next"]
    assert (line["cost_usd"], line["estimated_usd"]) == (pytest.approx(0.018), pytest.approx(0.012))


async def test_a_task_shows_what_it_and_the_work_below_it_have_cost_and_how_wrong_the_price_was(
    models: ModelWorld,
) -> None:
    _, owner = await models.api.new_user()
    mine = await models.api.new_project(owner)
    for requests in (2, 2, 2):
        await spend(models, mine, requests, agent="codex")
    # what has only planned is no measure for what building costs
    await spend(models, mine, 9, agent="codex", role="planner", task_id="dlv-planned")
    top, parts = "dlv-c057", [f"eng-c057-{number}of2" for number in (1, 2)]
    for seq, task_id in enumerate([top, *parts], start=1):
        kind = "delivery" if task_id == top else "engineering"
        above = {} if task_id == top else {"parent_task_id": top}
        workflow_id = f"{kind}/{task_id}"
        told = projection(task_id, mine, seq=seq, state="running", kind=kind, workflow_id=workflow_id, **above)
        reply = await models.api.http.put("/internal/projections", json=told, headers=models.api.platform)
        assert reply.status_code == 200, reply.text
    shown = await models.api.http.get(f"/tasks/{top}", headers=owner)
    assert shown.json()["cost"] is None, "no model works for it"
    for task_id, requests in zip(parts, (1, 3), strict=True):
        body = {"task_id": task_id, "project_id": mine, "agent": "codex"}
        await models.api.http.post("/internal/cost-estimates", json=body, headers=models.api.platform)
        await spend(models, mine, requests, agent="codex", task_id=task_id)
    tree = (await models.api.http.get(f"/tasks/{top}/tree", headers=owner)).json()
    found = {one["id"]: one["cost"] for one in (tree["task"], *tree["below"])}
    assert (found[top]["cost_usd"], found[top]["expected_usd"]) == (pytest.approx(0.024), pytest.approx(0.024))
    second = found[parts[1]]
    assert (second["cost_usd"], second["expected_usd"]) == (pytest.approx(0.018), pytest.approx(0.012))
    assert second["earlier_tasks"] == 4


async def test_a_key_in_the_vault_is_used_by_the_proxy_and_read_by_nobody(models: ModelWorld) -> None:
    name, key = "ANTHROPIC_API_KEY", "sk-ant-a-key-from-the-vault"
    _, person = await models.api.new_user()
    path = f"/platform-secrets/{name}"
    assert (await models.api.http.put(path, json={"value": key}, headers=person)).status_code == 403
    other = await models.api.http.put("/platform-secrets/SOMETHING", json={"value": key}, headers=models.api.admin)
    assert (other.status_code, "ANTHROPIC_API_KEY" in other.json()["detail"]) == (422, True)
    stored = await models.api.http.put(path, json={"value": f"{key}\n"}, headers=models.api.admin)
    assert [item["name"] for item in stored.json()["items"]] == [name]
    listed = await models.api.http.get("/platform-secrets", headers=models.api.admin)
    assert key not in stored.text + listed.text
    keys = models.proxy.keys
    given = keys._given["anthropic"]
    keys._given["anthropic"] = None
    try:
        await spend(models, "")
        assert models.vendor.asked[-1].headers["x-api-key"] == key
        agent = [one["value"] for one in (await settings(models)) if one["name"] == "agent"]
        assert agent == ["claude-code"]
        assert (await models.api.http.delete(path, headers=models.api.admin)).status_code == 204
        keys._stored.clear()
        turn = await models.turn()
        refused = await turn.ask()
        assert (refused.status_code, "has no key for anthropic" in refused.text) == (402, True)
        assert (await turn.spending())["limit"]["kind"] == "auth"
    finally:
        keys._given["anthropic"] = given
    rows = await models.api.rows("SELECT action, result FROM audit WHERE action LIKE 'platform_secret.%' ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("platform_secret.set", "NOT_ALLOWED"), ("platform_secret.set", "INVALID_INPUT"),
        ("platform_secret.set", "done"), ("platform_secret.delete", "done"),
    ]  # fmt: skip
    assert [one["value"] for one in (await settings(models)) if one["name"] == "agent"] == ["scripted"]


async def settings(models: ModelWorld) -> Any:
    return (await models.api.http.get("/settings", headers=models.api.admin)).json()["items"]


async def test_programs_of_the_machine_hear_whether_the_vendors_take_the_keys(models: ModelWorld) -> None:
    models.vendor.answers = [Answer([b"{}"], headers={"content-type": "application/json"})]
    plain = (await models.http.get("/health")).json()
    assert plain["accounts"]["anthropic"] == {"key": True, "base_url": models.vendor.url, "limit": None}
    assert models.vendor.asked == []
    checked = (await models.http.get("/health", params={"check": "1"})).json()
    verdicts = {name: told["check"]["verdict"] for name, told in checked["accounts"].items()}
    assert verdicts == {"anthropic": "taken", "openai": "taken"}
    assert [asked.path for asked in models.vendor.asked] == ["/v1/models", "/v1/models"]
    await models.http.get("/health", params={"check": "1"})
    assert len(models.vendor.asked) == 2


@pytest.mark.parametrize(
    "month",
    ["9999-12", "0000-00", "0000-01", "2026-13", "2026-00", "10000-01", "-2026-01", "2026-1", "２０２６-11", ""],
)
async def test_what_is_no_month_is_refused_in_words(models: ModelWorld, month: str) -> None:
    reply = await models.api.http.get("/costs", params={"month": month}, headers=models.api.admin)
    assert (reply.status_code, reply.json()["code"]) == (422, "INVALID_INPUT"), reply.text


async def test_the_first_and_the_last_month_are_months(models: ModelWorld) -> None:
    for month in ("0001-01", "9999-11"):
        assert (await costs(models, models.api.admin, month=month))["month"] == month


async def test_what_an_agent_without_a_project_costs_is_shown_to_its_owner_and_to_administrators(
    models: ModelWorld,
) -> None:
    ann, hers = await models.api.new_user()
    _, stranger = await models.api.new_user()
    mine = await models.api.new_project(hers)
    await spend(models, mine, 1)
    worker = f"w-{uuid4().hex[:8]}"
    own = {"worker_id": worker, "task_id": worker, "user_id": ann}
    await spend(models, worker, 2, **own)
    report = await costs(models, hers)
    assert {line["key"]: line["requests"] for line in report["items"]} == {mine: 1, f"no-project:{ann}": 2}
    assert report["total"]["requests"] == 3
    assert report["items"][0]["name"].startswith("without a project")
    assert worker in {line["key"] for line in (await costs(models, hers, by="task"))["items"]}
    assert (await costs(models, stranger))["items"] == []
    assert (await costs(models, hers, project_id=mine))["total"]["requests"] == 1
    assert f"no-project:{ann}" in {line["key"] for line in (await costs(models, models.api.admin))["items"]}


async def test_a_price_is_estimated_by_nothing_of_other_owners(models: ModelWorld) -> None:
    _, ann = await models.api.new_user()
    _, bob = await models.api.new_user()
    theirs, hers, also_hers = [await models.api.new_project(who) for who in (ann, bob, bob)]
    for _ in range(3):
        await spend(models, theirs, 5, agent="opencode")
    body = {"task_id": f"task-{uuid4().hex[:8]}", "project_id": hers, "agent": "opencode"}
    reply = await models.api.http.post("/internal/cost-estimates", json=body, headers=models.api.platform)
    assert (reply.json()["expected_usd"], reply.json()["earlier_tasks"]) == (None, 0)
    await spend(models, also_hers, 1, agent="opencode")
    body["task_id"] = f"task-{uuid4().hex[:8]}"
    reply = await models.api.http.post("/internal/cost-estimates", json=body, headers=models.api.platform)
    assert (reply.json()["expected_usd"], reply.json()["earlier_tasks"]) == (pytest.approx(0.006), 1)


@pytest.mark.parametrize("of_project", [False, True])
async def test_an_agent_worker_at_its_budget_says_how_to_go_on_and_goes_on_after_it(
    models: ModelWorld, of_project: bool
) -> None:
    ann, hers = await models.api.new_user()
    _, stranger = await models.api.new_user()
    project = await models.api.new_project(hers) if of_project else None
    worker = f"w-{uuid4().hex[:8]}"
    told = {
        "worker_id": worker, "seq": 1, "run_id": "r", "user_id": ann, "name": "helper", "agent": "claude-code",
        "state": "idle", "turns": 0, "project_id": project,
    }  # fmt: skip
    path = f"/internal/workers/{worker}"
    assert (await models.api.http.put(path, json=told, headers=models.api.platform)).status_code == 200
    await models.set("task_budget_usd", 0.01)
    own = {"worker_id": worker, "task_id": worker, "user_id": ann}
    turn = await spend(models, project or worker, 2, **own)
    stopped = await turn.ask()
    command = f"orchestrator worker budget {worker} --add USD"
    assert (stopped.status_code, command in stopped.text) == (402, True), stopped.text
    assert "this agent" in stopped.text
    path, body = f"/workers/{worker}/budget", {"request_id": "more", "add_usd": 0.01}
    assert (await models.api.http.post(path, json=body, headers=stranger)).status_code == 404
    for _ in range(2):
        raised = await models.api.http.post(path, json=body, headers=hers)
        assert (raised.status_code, raised.json()["limit_usd"]) == (200, pytest.approx(0.02)), raised.text
    following = await models.turn(**{**turn.body, "turn": 2})
    assert following.opened["refused"] is None
    assert (await following.ask()).status_code == 200
    [act] = await models.api.rows("SELECT * FROM audit WHERE action = 'worker.budget' AND user_id = $1 LIMIT 1", ann)
    assert act["target"] == worker


async def test_an_agent_worker_without_a_project_is_not_stopped_by_a_budget_that_nobody_can_raise(
    models: ModelWorld,
) -> None:
    ann, hers = await models.api.new_user()
    worker = f"w-{uuid4().hex[:8]}"
    told = {
        "worker_id": worker, "seq": 1, "run_id": "r", "user_id": ann, "name": "helper", "agent": "claude-code",
        "state": "idle", "turns": 0,
    }  # fmt: skip
    path = f"/internal/workers/{worker}"
    assert (await models.api.http.put(path, json=told, headers=models.api.platform)).status_code == 200
    await models.set("project_budget_usd", 0.005)
    turn = await spend(models, worker, 1, worker_id=worker, task_id=worker, user_id=ann)
    stopped = await turn.ask()
    assert (stopped.status_code, "orchestrator worker budget" in stopped.text) == (402, True)
    body = {"request_id": "more", "add_usd": 1}
    assert (await models.api.http.post(f"/workers/{worker}/budget", json=body, headers=hers)).status_code == 200
    assert (await turn.ask()).status_code == 200


async def test_a_token_ends_with_its_task(models: ModelWorld) -> None:
    _, owner = await models.api.new_user()
    mine = await models.api.new_project(owner)
    turn = await spend(models, mine, 1)
    for seq, state in enumerate(("running", "failed"), start=1):
        told = projection(
            turn.body["task_id"], mine, seq=seq, state=state, kind="engineering",
            workflow_id=f"engineering/{turn.body['task_id']}",
        )  # fmt: skip
        reply = await models.api.http.put("/internal/projections", json=told, headers=models.api.platform)
        assert reply.status_code == 200, reply.text
        assert (await turn.ask()).status_code == {"running": 200, "failed": 401}[state]
