"""Going on with an ended task over HTTP: who may, from what, and what the new task takes over."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from contracts import ids
from contracts.departments import DeliveryMessage
from contracts.states import AgentKind
from tests.support.api import Api, Headers, projection, running_api

COMMIT, BASE = "a" * 40, "b" * 40
KEPT = {"kept_branch": "task/eng-x", "kept_base_commit": BASE, "kept_commit": COMMIT, "kept_tested": 1}


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(autouse=True)
def forgetful(api: Api) -> None:
    api.gateway.started.clear()
    api.gateway.forgotten = False


class Ended:
    """A delivery that has ended, with its engineering."""

    def __init__(self, api: Api, owner: Headers, project_id: str) -> None:
        self.api, self.owner, self.project_id = api, owner, project_id
        self.message: Any = None

    async def started(self, wish: str = "A blog") -> None:
        body = {"request_id": "r", "project_id": self.project_id, "wish": wish}
        reply = await self.api.http.post("/deliveries", json=body, headers=self.owner)
        assert reply.status_code == 202
        self.message = self.api.gateway.started[-1]

    async def project(self, task_id: str, state: str, **fields: Any) -> None:
        kind = "engineering" if task_id.startswith("eng") else "delivery"
        workflow_id = ids.engineering_workflow_id(task_id)
        if kind == "delivery":
            workflow_id = ids.delivery_workflow_id(self.message.project_slug, task_id)
        document = projection(
            task_id, self.project_id, seq=1, state=state, kind=kind, workflow_id=workflow_id, **fields
        )
        reply = await self.api.http.put("/internal/projections", json=document, headers=self.api.platform)
        assert reply.status_code == 200, reply.text

    @property
    def task_id(self) -> str:
        return str(self.message.task_id)

    @property
    def below(self) -> str:
        return self.task_id.replace("dlv-", "eng-")

    async def retry(self, task_id: str = "", headers: Headers | None = None, **body: Any) -> Any:
        url = f"/tasks/{task_id or self.task_id}/retry"
        return await self.api.http.post(url, json=body, headers=headers or self.owner)


@pytest_asyncio.fixture
async def ended(api: Api) -> Ended:
    _, owner = await api.new_user()
    ended = Ended(api, owner, await api.new_project(owner))
    await ended.started()
    await ended.project(ended.task_id, "failed")
    await ended.project(ended.below, "failed", parent_task_id=ended.task_id, result=KEPT)
    return ended


async def test_the_new_task_has_an_id_of_its_own_and_takes_over_what_is_done(api: Api, ended: Ended) -> None:
    reply = await ended.retry(agent="codex", advice="Use a fixture.")
    assert reply.status_code == 202, reply.text
    message = api.gateway.started[-1]
    assert isinstance(message, DeliveryMessage)
    assert reply.json()["task_id"] == message.task_id == ids.retry_task_id(ended.task_id)
    assert (message.agent, message.advice, message.spec) == (
        AgentKind.CODEX,
        "Use a fixture.",
        ended.message.spec,
    )
    assert message.done is not None
    assert (message.done.branch, message.done.commit, message.done.tested, message.done.verified) == (
        "task/eng-x",
        COMMIT,
        True,
        False,
    )


async def test_a_part_of_a_delivery_stands_for_the_whole(api: Api, ended: Ended) -> None:
    reply = await ended.retry(ended.below)
    assert reply.json()["task_id"] == ids.retry_task_id(ended.task_id)


async def test_a_second_retry_is_the_first_one(api: Api, ended: Ended) -> None:
    first = (await ended.retry()).json()
    await ended.project(first["task_id"], "running")
    started = len(api.gateway.started)
    again = (await ended.retry()).json()
    assert (again["task_id"], again["joined"]) == (first["task_id"], True)
    assert len(api.gateway.started) == started


async def test_another_spec_leaves_the_branch_only(api: Api, ended: Ended) -> None:
    spec = {"name": "other", "description": "A shop"}
    await ended.retry(spec=spec)
    message = api.gateway.started[-1]
    assert isinstance(message, DeliveryMessage)
    assert (message.spec.description, message.spec.name) == ("A shop", ended.message.project_name)
    assert message.done is not None
    assert (message.done.branch, message.done.base_commit, message.done.commit) == ("task/eng-x", None, None)


async def test_what_is_on_main_is_only_deployed(api: Api) -> None:
    _, owner = await api.new_user()
    ended = Ended(api, owner, await api.new_project(owner))
    await ended.started()
    await ended.project(ended.task_id, "failed")
    result = {"commit_sha": COMMIT, "branch": "task/eng-y"}
    await ended.project(ended.below, "completed", parent_task_id=ended.task_id, result=result)
    await ended.retry()
    done = api.gateway.started[-1].model_dump()["done"]
    assert (done["published"], done["commit"]) == (True, COMMIT)


async def test_of_a_work_in_parts_the_plan_is_kept_and_what_each_part_has_finished(api: Api) -> None:
    _, owner = await api.new_user()
    ended = Ended(api, owner, await api.new_project(owner))
    await ended.started("1. Books: title. 2. Clubs: name. 3. Readers: name")
    assert ended.message.in_parts
    first, second = (ids.part_task_id(ended.task_id, number, 3) for number in (1, 2))
    plan = [
        {"number": 1, "title": "Books", "words": "Books: title.", "state": "completed", "task_id": first},
        {"number": 2, "title": "Clubs", "words": "Clubs: name.", "state": "failed", "task_id": second},
        {
            "number": 3,
            "title": "Readers",
            "words": "Readers: name",
            "after": [2],
            "state": "blocked",
            "blocked_by": [2],
        },
    ]
    await ended.project(ended.task_id, "failed", parts=plan)
    await ended.project(first, "completed", parent_task_id=ended.task_id, result={"commit_sha": COMMIT, "branch": "b"})
    await ended.project(second, "failed", parent_task_id=ended.task_id, result=KEPT)
    shown = await api.http.get(f"/tasks/{ended.task_id}", headers=owner)
    assert [(one["state"], one["blocked_by"]) for one in shown.json()["parts"]] == [
        ("completed", []), ("failed", []), ("blocked", [2]),
    ]  # fmt: skip
    await ended.retry(second, advice="Use a fixture.")
    message = api.gateway.started[-1]
    assert isinstance(message, DeliveryMessage)
    assert [(part.number, part.words, part.after) for part in message.parts] == [
        (1, "Books: title.", []), (2, "Clubs: name.", []), (3, "Readers: name", [2]),
    ]  # fmt: skip
    assert message.done is None
    assert [(one.number, one.done.task_id, one.done.published, one.done.tested) for one in message.parts_done] == [
        (1, first, True, True), (2, second, False, True),
    ]  # fmt: skip


async def test_parts_that_are_done_are_told_in_the_order_in_which_main_got_them(api: Api) -> None:
    """Else a retry of the deploy alone would put an older commit online."""
    _, owner = await api.new_user()
    ended = Ended(api, owner, await api.new_project(owner))
    await ended.started("1. Books: title. 2. Clubs: name")
    parts = [ids.part_task_id(ended.task_id, number, 2) for number in (1, 2)]
    plan = [{"number": n, "title": "t", "words": "w", "task_id": one} for n, one in enumerate(parts, start=1)]
    await ended.project(ended.task_id, "failed", parts=plan)
    for task_id in reversed(parts):
        result = {"commit_sha": COMMIT, "branch": "b"}
        await ended.project(task_id, "completed", parent_task_id=ended.task_id, result=result)
    await ended.retry()
    assert [one.number for one in api.gateway.started[-1].parts_done] == [2, 1]


async def test_strangers_learn_nothing(api: Api, ended: Ended) -> None:
    _, stranger = await api.new_user()
    started = len(api.gateway.started)
    other, unknown = await ended.retry(headers=stranger), await ended.retry("eng-nothing", headers=stranger)
    assert (
        (other.status_code, other.json()["code"]) == (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")
    )
    assert len(api.gateway.started) == started


@pytest.mark.parametrize(("state", "said"), [("running", "is running"), ("completed", "is completed")])
async def test_only_what_has_ended_early_is_retried(api: Api, state: str, said: str) -> None:
    _, owner = await api.new_user()
    ended = Ended(api, owner, await api.new_project(owner))
    await ended.started()
    await ended.project(ended.task_id, state)
    reply = await ended.retry()
    assert (reply.status_code, said in reply.json()["detail"]) == (409, True)


async def test_a_history_that_is_gone_is_said(api: Api, ended: Ended) -> None:
    api.gateway.forgotten = True
    reply = await ended.retry()
    assert reply.status_code == 409
    assert "no longer kept" in reply.json()["detail"]
