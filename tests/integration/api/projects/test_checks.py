"""What a project has promised is kept, runs at every later change, and is given up only by somebody."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from contracts.acceptance import AcceptanceCheck, HttpStep
from contracts.criteria import Criterion
from contracts.errors import ErrorCode, OrchestratorError
from contracts.planning import MAX_KEPT, KeepChecks, ProposedChecks
from runtime.api_client import ApiClient
from tests.support.api import Api, Headers, running_api


@pytest_asyncio.fixture
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


def proposal(*names: str, retires: list[str] | None = None) -> ProposedChecks:
    """A check `name` for a criterion `c-name`, for each name."""
    sent = {"method": "POST", "path": "/books", "json": {"title": "{unique}"}, "expect": {"status": 201}}
    return ProposedChecks(
        written_from="0" * 64,
        criteria=[Criterion(id=f"c-{name}", sentence=f"It has {name}.", words=name) for name in names],
        checks=[
            AcceptanceCheck(id=name, criterion_id=f"c-{name}", title=name, steps=[HttpStep.model_validate(sent)])
            for name in names
        ],
        retires=retires or [],
    )


def client(api: Api, who: Headers) -> ApiClient:
    token = who["Authorization"].removeprefix("Bearer ")
    return ApiClient(api.settings.api_url, token, transport=httpx.ASGITransport(api.app))


async def kept(api: ApiClient, project_id: str) -> list[str]:
    return [one.check.id for one in (await api.project_checks(project_id)).kept]


async def test_what_was_met_is_promised_and_a_repetition_changes_nothing(api: Api) -> None:
    _, owner = await api.new_user()
    project_id = await api.new_project(owner)
    async with client(api, api.platform) as platform:
        proposed = await platform.propose_checks(project_id, "t1", proposal("title", "year"))
        assert (await platform.project_checks(project_id, "t1")).proposed == proposed
        for _ in range(2):
            await platform.keep_checks(project_id, "t1", KeepChecks(met=["c-title"]))
        assert await kept(platform, project_id) == ["title"]
        assert (await platform.project_checks(project_id, "t1")).proposed is None
        (one,) = (await platform.project_checks(project_id)).kept
        assert (one.check, one.criterion.words, one.task_id) == (proposed.checks[0], "title", "t1")


async def test_a_later_wish_replaces_adds_and_takes_back(api: Api) -> None:
    _, owner = await api.new_user()
    project_id = await api.new_project(owner)
    async with client(api, api.platform) as platform:
        await platform.propose_checks(project_id, "t1", proposal("title", "year"))
        await platform.keep_checks(project_id, "t1", KeepChecks(met=["c-title", "c-year"]))
        await platform.propose_checks(project_id, "t2", proposal("title", "stars", retires=["year"]))
        await platform.keep_checks(project_id, "t2", KeepChecks(met=["c-title", "c-stars"]))
        assert await kept(platform, project_id) == ["title", "stars"]
        assert {one.task_id for one in (await platform.project_checks(project_id)).kept} == {"t2"}


async def test_a_project_that_promises_all_it_can_keeps_that_and_says_what_it_cannot_keep(api: Api) -> None:
    """The work is published by then: it is no failure."""
    _, owner = await api.new_user()
    project_id = await api.new_project(owner)
    async with client(api, api.platform) as platform:
        for task in range(MAX_KEPT // 50):
            names = [f"k{task}-{number}" for number in range(50)]
            await platform.propose_checks(project_id, f"t{task}", proposal(*names))
            done = await platform.keep_checks(project_id, f"t{task}", KeepChecks(met=[f"c-{one}" for one in names]))
            assert done.not_kept == []
        await platform.propose_checks(project_id, "t", proposal("k0-0", "new", "newer", retires=["k1-1"]))
        done = await platform.keep_checks(project_id, "t", KeepChecks(met=["c-k0-0", "c-new", "c-newer"]))
        assert done.not_kept == ["It has newer."]
        names = await kept(platform, project_id)
        assert len(names) == MAX_KEPT
        assert {"k0-0", "new", "k3-49"} <= set(names)


async def test_a_person_drops_a_check_and_it_is_still_to_be_seen(api: Api) -> None:
    user_id, owner = await api.new_user()
    project_id = await api.new_project(owner)
    async with client(api, api.platform) as platform:
        await platform.propose_checks(project_id, "t1", proposal("title", "year"))
        await platform.keep_checks(project_id, "t1", KeepChecks(met=["c-title", "c-year"]))
    async with client(api, owner) as person:
        dropped = await person.drop_check(project_id, "year")
        assert dropped.dropped_by == user_id
        assert [one.id for one in await person.checks(project_id)] == ["title"]
        assert [one.id for one in await person.checks(project_id, dropped=True)] == ["title", "year"]
        with pytest.raises(OrchestratorError) as refused:
            await person.drop_check(project_id, "year")
        assert refused.value.code is ErrorCode.NOT_FOUND


async def test_nobody_else_sees_or_drops_one(api: Api) -> None:
    _, owner = await api.new_user()
    _, stranger = await api.new_user()
    project_id = await api.new_project(owner)
    assert (await api.http.get(f"/projects/{project_id}/checks", headers=stranger)).status_code == 404
    assert (await api.http.delete(f"/projects/{project_id}/checks/title", headers=stranger)).status_code == 404
    assert (await api.http.get(f"/internal/projects/{project_id}/checks", headers=owner)).status_code == 403


async def test_a_project_that_is_not_there_promises_nothing(api: Api) -> None:
    async with client(api, api.platform) as platform:
        assert (await platform.project_checks("nowhere")).kept == []
        with pytest.raises(OrchestratorError) as refused:
            await platform.propose_checks("nowhere", "t1", proposal("title"))
        assert refused.value.code is ErrorCode.NOT_FOUND


async def test_a_project_that_is_deleted_leaves_no_checks(api: Api) -> None:
    _, owner = await api.new_user()
    project_id = await api.new_project(owner)
    async with client(api, api.platform) as platform:
        await platform.propose_checks(project_id, "t1", proposal("title"))
        await platform.keep_checks(project_id, "t1", KeepChecks(met=["c-title"]))
        await platform.propose_checks(project_id, "t2", proposal("year"))
    name = (await api.http.get(f"/projects/{project_id}", headers=owner)).json()["project"]["name"]
    gone = await api.http.delete(f"/projects/{project_id}", params={"confirm": name}, headers=owner)
    assert gone.json()["goes"]["checks"] == 1
    assert await api.rows("SELECT 1 FROM project_checks WHERE project_id = $1", project_id) == []
    assert await api.rows("SELECT 1 FROM proposed_checks WHERE project_id = $1", project_id) == []
