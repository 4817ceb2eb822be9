"""The stream of a task: ordered, complete, resumable while others write."""

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from httpx_sse import aconnect_sse

from api.tasks.event_hub import LISTENER
from contracts.progress import StreamedEvent
from tests.support.api import Api, bearer, fine_event, milestone, running_api, served
from tests.support.eventually import eventually
from tests.support.patience import patience, within


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        await running.state.hub.wait_listening()
        yield running


@pytest_asyncio.fixture(scope="module")
async def web(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(api.app) as url,
        httpx.AsyncClient(base_url=url, headers=api.admin, timeout=patience(20)) as client,
    ):
        yield client


async def new_task(api: Api) -> tuple[str, str]:
    project_id = await api.new_project(api.admin)
    return await api.new_task(project_id), project_id


async def post(api: Api, task_id: str, *keys: str) -> int:
    body = {"task_id": task_id, "events": [fine_event(key) for key in keys]}
    reply = await api.http.post("/internal/events", json=body, headers=api.platform)
    assert reply.status_code == 200, reply.text
    return int(reply.json()["stored"])


async def read_stream(web: httpx.AsyncClient, task_id: str, after: int = 0, limit: int = 10**9) -> list[StreamedEvent]:
    """Events until the stream ends, or until `limit` of them: then the connection is cut."""
    return (await read_behind(web, task_id, f"{task_id}:{after}" if after else "", limit))[0]


async def read_behind(
    web: httpx.AsyncClient, task_id: str, cursor: str, limit: int = 10**9
) -> tuple[list[StreamedEvent], str]:
    """The events, and the cursor behind the last one."""
    headers = {"Last-Event-ID": cursor} if cursor else {}
    events: list[StreamedEvent] = []
    async with aconnect_sse(web, "GET", f"/tasks/{task_id}/stream", headers=headers) as source:
        if source.response.status_code == 204:
            return events, cursor
        async for message in source.aiter_sse():
            if not message.data:  # httpx-sse makes an empty event of each heartbeat comment
                continue
            events.append(StreamedEvent.model_validate_json(message.data))
            cursor = message.id
            assert f"{events[-1].task_id}:{events[-1].seq}" in cursor.split(",")
            if len(events) >= limit:
                break
    return events, cursor


async def test_a_cut_stream_resumes_with_nothing_missing_and_nothing_doubled_while_writers_run(
    api: Api, web: httpx.AsyncClient
) -> None:
    task_id, project_id = await new_task(api)
    written: list[str] = []

    async def write(writer: int) -> None:
        for batch in range(15):
            keys = [f"w{writer}:{batch}:{line}" for line in range(random.randint(1, 5))]
            await post(api, task_id, *keys)
            # A retry after a crash: the same keys once more, with a new one between them.
            await post(api, task_id, keys[0], f"w{writer}:{batch}:late", *keys)
            written.extend([*keys, f"w{writer}:{batch}:late"])

    async def follow_with_cuts() -> list[StreamedEvent]:
        seen: list[StreamedEvent] = []
        while True:
            part = await read_stream(web, task_id, seen[-1].seq if seen else 0, limit=random.randint(1, 40))
            seen.extend(part)
            if part and part[-1].event.type == "completed":
                return seen

    async with asyncio.timeout(patience(60)):
        readers = [asyncio.create_task(follow_with_cuts()) for _ in range(3)]
        await asyncio.gather(*(write(number) for number in range(4)))
        await api.project_task(task_id, project_id, seq=9, state="completed", milestone=milestone("done", "completed"))
        for seen in await asyncio.gather(*readers):
            assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
            assert sorted(event.event.message or "" for event in seen) == sorted([*written, "done"])


async def test_a_stream_ends_after_the_last_milestone_and_then_says_that_there_is_no_more(
    api: Api, web: httpx.AsyncClient
) -> None:
    task_id, project_id = await new_task(api)
    reading = asyncio.create_task(read_stream(web, task_id))
    await post(api, task_id, "one")
    await api.project_task(task_id, project_id, seq=5, state="failed", milestone=milestone("it broke", "failed"))
    events = await within(reading, 10)
    assert [event.event.message for event in events] == ["one", "it broke"]
    reply = await web.get(f"/tasks/{task_id}/stream", headers={"Last-Event-ID": f"{task_id}:2"})
    assert reply.status_code == 204


async def test_a_waiting_reader_is_woken_and_does_not_hold_a_connection_of_the_pool(
    api: Api, web: httpx.AsyncClient
) -> None:
    tasks = [await new_task(api) for _ in range(40)]
    readings = [asyncio.create_task(read_stream(web, task_id, limit=1)) for task_id, _ in tasks]
    await eventually(lambda: len(api.state.hub._waiting) >= len(tasks))
    assert (await api.http.get("/health")).json()["database"] is True
    for task_id, _ in tasks:
        await post(api, task_id, "hello")
    for events in await within(asyncio.gather(*readings), 20):
        assert events[0].event.message == "hello"
    await eventually(lambda: not api.state.hub._waiting, message="every subscription was given back")


async def test_readers_go_on_after_the_listening_connection_was_lost(api: Api, web: httpx.AsyncClient) -> None:
    task_id, _ = await new_task(api)
    reading = asyncio.create_task(read_stream(web, task_id, limit=1))
    await eventually(lambda: task_id in api.state.hub._waiting)
    killed = await api.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = $1",
        LISTENER,
    )
    assert len(killed) == 1
    await post(api, task_id, "written while nobody listened")
    assert (await within(reading, 15))[0].event.message == "written while nobody listened"


async def test_a_reader_never_misses_a_lower_number_that_commits_later(api: Api) -> None:
    task_id, _ = await new_task(api)
    await asyncio.gather(*(post(api, task_id, *(f"{n}:{line}" for line in range(5))) for n in range(20)))
    numbers = [row["seq"] for row in await api.rows("SELECT seq FROM events WHERE task_id = $1 ORDER BY seq", task_id)]
    assert numbers == list(range(1, 101))


async def test_a_batch_that_is_posted_again_is_the_same_rows(api: Api) -> None:
    task_id, _ = await new_task(api)
    assert await post(api, task_id, "a", "b", "a") == 2
    assert await post(api, task_id, "a", "b") == 0
    assert await post(api, task_id, "b", "c") == 1
    listed = (await api.http.get(f"/tasks/{task_id}/events?after=1&limit=1", headers=api.admin)).json()["items"]
    assert [(event["seq"], event["event"]["message"]) for event in listed] == [(2, "b")]


async def test_events_of_an_unknown_task_leave_no_orphan(api: Api) -> None:
    body = {"task_id": f"eng-{uuid4().hex[:12]}", "events": [fine_event("a")]}
    reply = await api.http.post("/internal/events", json=body, headers=api.platform)
    assert (reply.status_code, reply.json()["code"]) == (404, "NOT_FOUND")


async def test_another_owner_cannot_listen(api: Api, web: httpx.AsyncClient) -> None:
    task_id, _ = await new_task(api)
    _, stranger = await api.new_user()
    assert (await web.get(f"/tasks/{task_id}/stream", headers=stranger)).status_code == 404


@pytest.mark.parametrize("cursor", ["{below}:0", "{task}:0,{below}:0,", "{below}:999999999999999999", "x:1,x:2"])
async def test_work_below_that_is_another_persons_is_in_no_tree_and_no_stream_whatever_the_cursor_says(
    api: Api, web: httpx.AsyncClient, cursor: str
) -> None:
    _, owner = await api.new_user()
    task_id = await api.new_task(await api.new_project(owner))
    below = await api.new_task(await api.new_project(api.admin), parent_task_id=task_id)
    await post(api, below, "another person's")
    seen = (await api.http.get(f"/tasks/{task_id}/tree", headers=owner)).json()
    assert (seen["task"]["id"], seen["below"]) == (task_id, [])
    project_id = seen["task"]["subject"]["id"]
    await api.project_task(task_id, project_id, seq=5, state="completed", milestone=milestone("the end"))
    web.headers, admin = httpx.Headers(owner), web.headers
    try:
        told, behind = await read_behind(web, task_id, cursor.format(task=task_id, below=below))
    finally:
        web.headers = admin
    assert [event.event.message for event in told] == ["the end"]
    assert f"{task_id}:1" in behind.split(",")


@pytest.mark.parametrize("cursor", [":1", "a:", "a:1;b:2", "a:-1", "a:1234567890123456789", "a b:1", "a:1,,b:2", "4"])
async def test_what_is_no_cursor_is_refused(api: Api, cursor: str) -> None:
    task_id, _ = await new_task(api)
    reply = await api.http.get(f"/tasks/{task_id}/stream", headers={**api.admin, "Last-Event-ID": cursor})
    assert reply.status_code == 422


async def test_a_stream_ends_when_the_token_of_its_reader_expires(api: Api, web: httpx.AsyncClient) -> None:
    task_id, project_id = await new_task(api)
    body = {"project_id": project_id, "commands": ["task.watch"]}
    made = await api.http.post("/tokens", json=body, headers=api.admin)
    await api.rows("UPDATE credentials SET expires_at = now() + interval '4 seconds' WHERE kind = 'token'")
    web.headers, person = httpx.Headers(bearer(made.json()["token"])), web.headers
    try:
        assert await within(read_stream(web, task_id), 10) == []
        assert (await web.get(f"/tasks/{task_id}/stream")).status_code == 401
    finally:
        web.headers = person


async def test_a_stream_tells_of_all_work_below_in_the_order_in_which_it_was_done(
    api: Api, web: httpx.AsyncClient
) -> None:
    task_id, project_id = await new_task(api)
    child, grandchild = (f"eng-{uuid4().hex[:12]}" for _ in range(2))

    async def tell(task: str, seq: int, text: str, **fields: object) -> None:
        await api.project_task(task, project_id, seq=seq, milestone=milestone(text), **fields)

    first, cursor = [], ""
    reading = asyncio.create_task(read_behind(web, task_id, "", limit=3))
    await eventually(lambda: task_id in api.state.hub._waiting)
    await tell(task_id, 2, "it begins")
    await tell(child, 1, "below", parent_task_id=task_id)
    await tell(grandchild, 1, "further below", parent_task_id=child)
    first, cursor = await within(reading, 10)
    assert [(event.task_id, event.event.message) for event in first] == [
        (task_id, "it begins"),
        (child, "below"),
        (grandchild, "further below"),
    ]
    assert {event.kind.value for event in first} == {"engineering"}
    assert {event.subject.project_id for event in first} == {project_id}

    reading = asyncio.create_task(read_stream_behind(web, task_id, cursor))
    await tell(grandchild, 2, "done below", state="completed")
    await tell(child, 2, "done", state="completed", parent_task_id=task_id)
    await tell(task_id, 3, "all done", state="completed")
    assert await within(reading, 10) == ["done below", "done", "all done"]
    tree = (await api.http.get(f"/tasks/{task_id}/tree", headers=api.admin)).json()
    assert [tree["task"]["id"], *(task["id"] for task in tree["below"])] == [task_id, child, grandchild]
    assert await read_stream(web, child) != []


async def read_stream_behind(web: httpx.AsyncClient, task_id: str, cursor: str) -> list[str]:
    """Messages until the stream ends; after that it has no more."""
    events, end = await read_behind(web, task_id, cursor)
    assert await read_behind(web, task_id, end) == ([], end)
    return [event.event.message or "" for event in events]


async def test_a_long_log_below_does_not_let_later_work_overtake_it(api: Api, web: httpx.AsyncClient) -> None:
    task_id, project_id = await new_task(api)
    child = f"eng-{uuid4().hex[:12]}"
    await api.project_task(child, project_id, seq=1, parent_task_id=task_id)
    for batch in range(3):
        await post(api, child, *(f"{batch}:{line}" for line in range(400)))
    await api.project_task(task_id, project_id, seq=2, state="completed", milestone=milestone("the end"))
    told = await read_stream(web, task_id)
    assert [event.event.message for event in told][-1] == "the end"
    assert [event.seq for event in told[:-1]] == list(range(1, 1201))


async def test_no_event_of_a_long_log_is_passed_over_when_the_clock_was_set_back(
    api: Api, web: httpx.AsyncClient
) -> None:
    task_id, project_id = await new_task(api)
    child = f"eng-{uuid4().hex[:12]}"
    await api.project_task(child, project_id, seq=1, parent_task_id=task_id)
    for task in (task_id, child):
        for batch in range(2):
            await post(api, task, *(f"{batch}:{line}" for line in range(300)))
    ahead = "UPDATE events SET created_at = created_at + interval '5 minutes' WHERE seq BETWEEN 100 AND 200"
    await api.rows(f"{ahead} AND task_id = ANY($1)", [task_id, child])
    await api.project_task(task_id, project_id, seq=2, state="completed", milestone=milestone("the end"))
    told = await read_stream(web, task_id)
    for task, last in ((task_id, 601), (child, 600)):
        assert [event.seq for event in told if event.task_id == task] == list(range(1, last + 1))


async def test_the_percent_of_a_stream_never_falls_and_goes_on_where_a_reader_comes_back(
    api: Api, web: httpx.AsyncClient
) -> None:
    project = await api.new_project(api.admin)
    parent, below = f"dlv-{uuid4().hex[:12]}", f"eng-{uuid4().hex[:12]}"
    delivery = {"kind": "delivery", "workflow_id": f"delivery/x/{parent}"}
    for task, seq, percent, fields in (
        (parent, 1, 5, delivery), (below, 2, 65, {"parent_task_id": parent}), (below, 3, 35, {}),
        (below, 4, 85, {"state": "completed"}), (parent, 5, 100, {**delivery, "state": "completed"}),
    ):  # fmt: skip
        said = {**milestone(str(seq)), "progress_pct": percent}
        await api.project_task(task, project, seq=seq, milestone=said, **fields)
    whole = await read_stream(web, parent)
    assert [event.percent for event in whole] == [5, 40, 40, 51, 100]
    first, cursor = await read_behind(web, parent, "", 2)
    rest, _ = await read_behind(web, parent, cursor)
    assert [event.percent for event in [*first, *rest]] == [5, 40, 40, 51, 100]
    assert [event.percent for event in await read_stream(web, below)] == [65, 65, 85]
