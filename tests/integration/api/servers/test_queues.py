"""What the API says of task queues, over a gateway that tells what the test wants."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.queues.disks import DiskWatch
from api.queues.tracker import Intervals
from contracts.base import utc_now
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.ids import engineering_workflow_id
from runtime.disks import Disk
from runtime.temporal.task_queues import QueueFacts, QueueWait, WorkerFacts
from tests.support.api import Api, bearer, running_api
from tests.support.eventually import eventually

QUEUE = "agents"


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    with pytest.MonkeyPatch.context() as quick:
        at_once = Intervals(look_s=0.05, grace_s=0.0, scan_s=0.0)
        quick.setattr(Intervals, "of", lambda _: at_once)
        directory: Path = tmp_path_factory.mktemp("api")
        async with running_api(directory) as running:
            yield running


@pytest.fixture(autouse=True)
def served(api: Api) -> None:
    beat = WorkerFacts(key="w", queue=QUEUE, beat_at=utc_now(), polling=True)
    api.gateway.facts = [QueueFacts(name=QUEUE, workers=[beat], activity_pollers=2, polled_at=utc_now())]
    api.gateway.waits = []
    api.gateway.refusal = None


def lose_the_worker(api: Api, task_id: str) -> None:
    """Its last beat is an hour old, and a workflow waits."""
    api.gateway.facts = [QueueFacts(name=QUEUE, backlog=3, oldest_waiting_s=4.5)]
    workflow_id = engineering_workflow_id(task_id)
    api.gateway.waits = [QueueWait(queue=QUEUE, since=utc_now(), workflow_ids=[workflow_id], task_ids=[task_id])]


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    _: bool = await eventually(fact)


async def report(api: Api) -> dict[str, Any]:
    reply = await api.http.get("/queues", headers=api.admin)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def test_a_served_queue_shows_its_workers_and_no_alert(api: Api) -> None:
    async def seen() -> bool:
        [queue] = (await report(api))["items"]
        return (queue["workers"], queue["pollers"], queue["unserved_since"]) == (1, 2, None)

    await until(seen)
    assert (await report(api))["alerts"] == []
    assert (await report(api))["looked_at"] is not None


async def test_a_task_on_an_unserved_queue_says_so_until_a_worker_is_back(api: Api) -> None:
    task_id = await api.new_task(await api.new_project(api.admin))
    other_id = await api.new_task(await api.new_project(api.admin))
    lose_the_worker(api, task_id)

    async def task(wanted: str) -> dict[str, Any]:
        return dict((await api.http.get(f"/tasks/{wanted}", headers=api.admin)).json())

    async def named() -> bool:
        return bool((await task(task_id))["stalled_queue"] == QUEUE)

    await until(named)
    assert (await task(task_id))["stalled_since"] is not None
    assert (await task(other_id))["stalled_queue"] is None
    listed = (await api.http.get("/tasks", headers=api.admin)).json()["items"]
    assert {one["id"] for one in listed if one["stalled_queue"]} == {task_id}
    found = await report(api)
    assert [(alert["kind"], alert["subject"]) for alert in found["alerts"]] == [("queue_unserved", QUEUE)]
    assert [(q["backlog"], q["oldest_waiting_s"]) for q in found["items"] if q["unserved_since"]] == [(3, 4.5)]

    beat = WorkerFacts(key="its successor", queue=QUEUE, beat_at=utc_now(), polling=True)
    api.gateway.facts = [QueueFacts(name=QUEUE, workers=[beat])]

    async def over() -> bool:
        return (await task(task_id))["stalled_queue"] is None and not (await report(api))["alerts"]

    await until(over)


async def test_an_unreachable_temporal_is_an_alert_and_the_watch_continues(api: Api) -> None:
    api.gateway.refusal = OrchestratorError(
        ErrorCode.TEMPORAL_UNREACHABLE, "No answer.", error_class=ErrorClass.TRANSIENT
    )

    async def alerts() -> list[str]:
        return [alert["kind"] for alert in (await report(api))["alerts"]]

    async def told() -> bool:
        return await alerts() == ["temporal_unreachable"]

    async def well() -> bool:
        return await alerts() == []

    await until(told)
    api.gateway.refusal = None
    await until(well)


async def test_queues_are_shown_to_people_and_not_to_agents(api: Api) -> None:
    _, member = await api.new_user()
    assert (await api.http.get("/queues", headers=member)).status_code == 200
    assert (await api.http.get("/queues")).status_code == 401
    project_id = await api.new_project(member)
    body = {"project_id": project_id, "commands": ["task.show"]}
    token = (await api.http.post("/tokens", json=body, headers=member)).json()["token"]
    assert (await api.http.get("/queues", headers=bearer(token))).status_code == 403


async def test_a_full_disk_is_named_by_health_and_by_an_alert(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Disk("home", Path("/secret/place"), 9_000, 100_000, "ok"), Disk("Docker", Path("/d"), 12, 50_000, "full")]
    monkeypatch.setattr(api.state.disks, "_read", lambda: found)
    health = (await api.http.get("/health")).json()
    assert health["disks"] == [
        {"name": "home", "free_mb": 9_000, "total_mb": 100_000, "state": "ok"},
        {"name": "Docker", "free_mb": 12, "total_mb": 50_000, "state": "full"},
    ]
    assert health["status"] == "degraded"
    first = [alert for alert in (await report(api))["alerts"] if alert["kind"] == "disk_full"]
    assert [alert["subject"] for alert in first] == ["Docker"]
    assert "12 of 50000 MB" in first[0]["message"]
    again = [alert for alert in (await report(api))["alerts"] if alert["kind"] == "disk_full"]
    assert again == first, "it has been full since the first look"
    found[1] = Disk("Docker", Path("/d"), 9_000, 50_000, "ok")
    assert (await api.http.get("/health")).json()["status"] == "ok"
    assert (await report(api))["alerts"] == []


async def test_a_disk_that_does_not_answer_holds_nobody_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr(api.state.disks, "_read", lambda: gone.wait(30) and [])
    monkeypatch.setattr(DiskWatch, "_PATIENCE_S", 0.1)
    try:
        assert (await api.http.get("/health")).json()["disks"] == []
    finally:
        gone.set()


async def test_a_database_without_room_is_an_outage_that_is_named_and_no_fault_of_ours(api: Api) -> None:
    """The server's own error, as the driver passes it on: a trigger raises what an insert into a full disk raises."""
    await api.rows(
        "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION "
        "'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$ LANGUAGE plpgsql"
    )
    await api.rows("CREATE TRIGGER full_disk BEFORE INSERT ON projects EXECUTE FUNCTION full_disk()")
    try:
        reply = await api.http.post("/projects", json={"id": "p-full", "name": "full"}, headers=api.admin)
    finally:
        await api.rows("DROP TRIGGER full_disk ON projects")
    assert (reply.status_code, reply.json()["code"]) == (507, "DATABASE_DISK_FULL")
    assert "Free some space" in reply.json()["detail"]
    assert reply.headers["content-type"] == "application/problem+json"
