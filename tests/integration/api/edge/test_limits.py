"""How much and how often: bodies before anybody is known, requests, wrong keys, streams, slow heads, quotas."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import uvicorn
from limits import RateLimitItemPerHour

from api.app import create_app
from api.edge.server import protocol
from api.middleware.admission import SMALL_BODY_BYTES
from runtime.settings import Settings
from tests.integration.api.access.test_revocation import new_login
from tests.support.api import Api, Headers, bearer, running_api
from tests.support.patience import patience, within

MEGABYTES_8 = 8_000_000
OTHER_ADDRESS = "203.0.113.7"
JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(autouse=True)
def hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of an hour instead of a minute: on a machine that is busy a test may take longer than a minute."""
    monkeypatch.setattr("api.edge.rates.RateLimitItemPerMinute", RateLimitItemPerHour)


@contextlib.asynccontextmanager
async def limited(api: Api, address: str = "127.0.0.1", **limits: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Another process of the same API with these limits, as it is seen from an address."""
    settings = Settings(home=api.settings.home, **limits)
    app = create_app(settings, database_url=api.database_url, gateway=api.gateway)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 40_000))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        yield http


def later(http: httpx.AsyncClient, seconds: float) -> None:
    """Set the clock of the API's lock-outs on."""
    transport = http._transport
    assert isinstance(transport, httpx.ASGITransport)
    rates = transport.app.state.platform.admission.rates  # type: ignore[attr-defined] # it is our FastAPI
    rates._clock = lambda: time.monotonic() + seconds


def refused(reply: httpx.Response, status: int, code: str) -> None:
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    if status == 429:
        assert int(reply.headers["retry-after"]) >= 1


# Bodies


class Counted:
    """A body of which it is known how much was read."""

    def __init__(self, size: int) -> None:
        self.left, self.read = size, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left > 0:
            self.left -= 10_000
            self.read += 10_000
            yield b" " * 10_000


@pytest.mark.parametrize("path", ["/internal/projections", "/projects", "/codec/decode", "/temporal/api", "/nowhere"])
@pytest.mark.parametrize("headers", [{}, bearer("user_wrong"), {"Cookie": "orchestrator_ui_8180=x"}])
async def test_of_somebody_unknown_only_a_small_body_is_read(api: Api, path: str, headers: Headers) -> None:
    bodies = [Counted(MEGABYTES_8) for _ in range(20)]
    async with limited(api) as http:
        posts = (http.post(path, content=aiter(body), headers=headers) for body in bodies)
        for reply in await asyncio.gather(*posts):
            refused(reply, 413, "PAYLOAD_TOO_LARGE")
            assert str(SMALL_BODY_BYTES) in reply.json()["detail"]
    assert max(body.read for body in bodies) <= SMALL_BODY_BYTES + 10_000


async def test_a_person_may_not_send_what_only_the_platform_may(api: Api) -> None:
    body = Counted(MEGABYTES_8)
    reply = await api.http.put("/internal/projections", content=aiter(body), headers=api.admin)
    refused(reply, 413, "PAYLOAD_TOO_LARGE")
    assert body.read <= SMALL_BODY_BYTES + 10_000


async def test_a_known_key_may_send_more_also_with_its_first_request(api: Api) -> None:
    project_id = await api.new_project(api.admin)
    wish = {"request_id": uuid4().hex, "project_id": project_id, "wish": "w", "title": "t" * 200}
    filler = b" " * (3 * SMALL_BODY_BYTES)
    async with limited(api) as http:
        content = httpx.Request("POST", "http://x", json=wish).content + filler
        reply = await http.post("/engineering", content=content, headers=api.admin | JSON)
        assert reply.status_code == 202, reply.text
        batch = Counted(2_000_000)
        reply = await http.post("/internal/events", content=aiter(batch), headers=api.platform | JSON)
        refused(reply, 422, "INVALID_INPUT")
        assert batch.left <= 0


# Rates


async def test_a_key_that_asks_too_often_waits_and_others_do_not(api: Api) -> None:
    _, first = await api.new_user()
    _, second = await api.new_user()
    async with limited(api, requests_per_minute=5) as http:
        for _ in range(5 + 1):  # the first of an unknown key counts with its address
            assert (await http.get("/whoami", headers=first)).status_code == 200
        refused(await http.get("/whoami", headers=first), 429, "TOO_MANY_REQUESTS")
        assert (await http.get("/whoami", headers=second)).status_code == 200
        # A header of our own parts gives nobody else a count of their own.
        evading = first | {"X-Orchestrator-User": "77"}
        refused(await http.get("/whoami", headers=evading), 429, "TOO_MANY_REQUESTS")


async def test_an_address_without_a_key_waits_and_the_platform_never(api: Api) -> None:
    async with limited(api, anonymous_requests_per_minute=5, requests_per_minute=5) as http:
        for _ in range(5):
            await http.get("/health")
        refused(await http.get("/health"), 429, "TOO_MANY_REQUESTS")
        for _ in range(20):
            assert (await http.get("/users", headers=api.platform)).status_code == 200
    async with limited(api, OTHER_ADDRESS, anonymous_requests_per_minute=5) as http:
        assert (await http.get("/health")).status_code == 200


async def test_a_browser_that_is_logged_in_has_a_count_of_its_own(api: Api) -> None:
    """A page of the Web UI is hundreds of requests."""
    cookie = await new_login(api, api.admin) | {"Origin": api.settings.site_url}
    stranger = cookie | {"Cookie": f"{cookie['Cookie']}x"}
    async with limited(api, anonymous_requests_per_minute=5, requests_per_minute=20) as http:

        async def decoded(headers: Headers) -> httpx.Response:
            return await http.post("/codec/decode", content="{}", headers=headers)

        for _ in range(20 + 1):  # the first of a login counts with its address
            assert (await decoded(cookie)).status_code == 200
        refused(await decoded(cookie), 429, "TOO_MANY_REQUESTS")
        assert [(await decoded(stranger)).status_code for _ in range(5)] == [401] * 4 + [429]


async def test_each_person_for_whom_the_bot_speaks_has_a_count_of_their_own(api: Api) -> None:
    (first, _), (second, _) = await api.new_user(), await api.new_user()
    async with limited(api, requests_per_minute=5) as http:
        speaking = [api.bot | {"X-Orchestrator-User": str(user_id)} for user_id in (first, second)]
        for _ in range(5):
            assert (await http.get("/projects", headers=speaking[0])).status_code == 200
        refused(await http.get("/projects", headers=speaking[0]), 429, "TOO_MANY_REQUESTS")
        assert (await http.get("/projects", headers=speaking[1])).status_code == 200


async def test_who_shows_wrong_keys_is_locked_out_and_those_beside_them_are_not(api: Api) -> None:
    _, known = await api.new_user()
    async with limited(api, OTHER_ADDRESS, wrong_keys_per_minute=5, lock_out_s=3600) as http:
        assert (await http.get("/whoami", headers=known)).status_code == 200
        for number in range(5 + 1):
            refused(await http.get("/whoami", headers=bearer(f"user_{number}")), 401, "NOT_AUTHENTICATED")
        for headers in (bearer("user_7"), {}):
            refused(await http.get("/whoami", headers=headers), 429, "LOCKED_OUT")
        assert (await http.get("/whoami", headers=known)).status_code == 200, "who was in, stays in"
        later(http, 3601)
        assert (await http.get("/health")).status_code == 200
    entries = (await api.http.get("/audit?action=sign_in", headers=api.admin)).json()["items"]
    assert [entry["address"] for entry in entries if entry["result"] == "LOCKED_OUT"] == [OTHER_ADDRESS]


@pytest.mark.parametrize("path", ["/ui-login"])
async def test_wrong_links_count_as_well(api: Api, path: str) -> None:
    async with limited(api, OTHER_ADDRESS, wrong_keys_per_minute=3, lock_out_s=3600) as http:
        codes = [(await http.post(path, data={"ticket": f"x{number}"})).json()["code"] for number in range(6)]
    assert codes == ["NOT_AUTHENTICATED"] * 4 + ["LOCKED_OUT"] * 2


async def test_a_wrong_key_on_an_open_route_makes_nobody_known(api: Api) -> None:
    async with limited(api, OTHER_ADDRESS, anonymous_requests_per_minute=3) as http:
        for _ in range(3):
            assert (await http.get("/health", headers=bearer("user_x"))).status_code == 200
        refused(await http.get("/health", headers=bearer("user_x")), 429, "TOO_MANY_REQUESTS")


async def test_behind_a_trusted_proxy_its_callers_count_and_not_the_proxy(api: Api) -> None:
    proxy = {"trusted_proxies": ("10.0.0.1/32",), "public_url": "https://x.test", "anonymous_requests_per_minute": 3}
    async with limited(api, "10.0.0.1", **proxy) as http:
        for forwarded in ("198.51.100.1", "198.51.100.2", "1.1.1.1, 198.51.100.3", "2001:db8::1"):
            headers = {"X-Forwarded-For": forwarded}
            codes = [(await http.get("/health", headers=headers)).status_code for _ in range(4)]
            assert codes == [200, 200, 200, 429], forwarded
        # What the caller says of itself, and another address of the same network.
        for forwarded in ("9.9.9.9, 198.51.100.3", "2001:db8::2"):
            assert (await http.get("/health", headers={"X-Forwarded-For": forwarded})).status_code == 429
    async with limited(api, OTHER_ADDRESS, anonymous_requests_per_minute=3) as http:
        codes = [(await http.get("/health", headers={"X-Forwarded-For": str(n)})).status_code for n in range(4)]
        assert codes == [200, 200, 200, 429], "anybody else's header is worth nothing"


# Connections


@contextlib.asynccontextmanager
async def listening(api: Api, header_s: float) -> AsyncIterator[int]:
    config = uvicorn.Config(api.app, port=0, lifespan="off", log_config=None, http=protocol(header_s))
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    task = asyncio.create_task(server._serve())
    while not server.started:
        assert not task.done()
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


@pytest.mark.parametrize("begin", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n"], ids=["silent", "slow"])
async def test_a_head_that_does_not_arrive_ends_its_connection(api: Api, begin: bytes) -> None:
    async with listening(api, 0.5) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begin)
        reading = asyncio.create_task(reader.read())
        for _ in range(int(patience(10))):
            if reading.done():
                break
            if begin:
                with contextlib.suppress(ConnectionError):
                    writer.write(b"X-A: b\r\n")
            await asyncio.sleep(0.1)
        said = await within(reading, 5)
        assert said.startswith(b"HTTP/1.1 408")
        _tells_browsers(said)
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a b\x00\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000],
    ids=["no request", "a broken header", "a head without an end"],
)
async def test_what_is_no_request_is_answered_like_one(api: Api, sent: bytes) -> None:
    async with listening(api, 10) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        said = await within(reader.read(), 5)
        assert said.startswith(b"HTTP/1.1 400")
        _tells_browsers(said)
        writer.close()


def _tells_browsers(said: bytes) -> None:
    names = [line.partition(":")[0].lower() for line in said.partition(b"\r\n\r\n")[0].decode().splitlines()[1:]]
    wanted = {"x-content-type-options", "referrer-policy", "x-frame-options", "content-security-policy", "date"}
    assert wanted <= set(names)
    assert len(names) == len(set(names))


async def test_requests_of_a_connection_that_is_kept_and_long_answers_are_left_alone(api: Api) -> None:
    task_id = await api.new_task(await api.new_project(api.admin), milestone={"type": "started", "request_id": "r"})
    async with listening(api, 0.3) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(3):
            assert (await client.get("/health")).status_code == 200
            await asyncio.sleep(0.1)
        async with client.stream("GET", f"/tasks/{task_id}/stream", headers=api.admin) as stream:
            chunks = stream.aiter_text()
            await anext(chunks)
            await asyncio.sleep(0.6)
            await api.http.post(
                "/internal/events",
                json={"task_id": task_id, "events": [{"key": "k", "event": {"type": "progress", "request_id": "r"}}]},
                headers=api.platform,
            )
            assert "progress" in await within(anext(chunks), 5)


async def test_a_body_that_does_not_arrive_is_not_waited_for(api: Api) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    async with limited(api, body_timeout_s=0.3) as http:
        refused(await within(http.post("/projects", content=slow(), headers=api.admin), 5), 408, "REQUEST_TIMEOUT")


async def test_only_so_many_streams_are_open_at_once(api: Api) -> None:
    task_id = await api.new_task(await api.new_project(api.admin))
    _, other = await api.new_user()
    async with limited(api, streams_per_key=2) as http:
        await http.get("/whoami", headers=api.admin)

        async def read() -> None:
            await http.get(f"/tasks/{task_id}/stream", headers=api.admin)

        readers = [asyncio.create_task(read()) for _ in range(2)]
        await asyncio.sleep(0.3)
        refused(await http.get(f"/tasks/{task_id}/stream", headers=api.admin), 429, "TOO_MANY_STREAMS")
        assert (await http.get(f"/tasks/{task_id}/stream", headers=other)).status_code == 404
        await api.project_task(task_id, await project_of(api, task_id), seq=9, state="completed")
        await within(asyncio.gather(*readers), 5)
        assert (await http.get(f"/tasks/{task_id}/stream?after=99", headers=api.admin)).status_code == 204


async def project_of(api: Api, task_id: str) -> str:
    return str((await api.http.get(f"/tasks/{task_id}", headers=api.admin)).json()["subject"]["id"])


# Quotas


async def test_a_person_has_only_so_many_projects(api: Api) -> None:
    user_id, mine = await api.new_user()
    async with limited(api, max_projects_per_user=2) as http:
        bodies = [{"id": f"q-{user_id}-{number}", "name": f"n{number}"} for number in range(4)]
        replies = await asyncio.gather(*(http.post("/projects", json=body, headers=mine) for body in bodies))
        made = [body for body, reply in zip(bodies, replies, strict=True) if reply.status_code == 201]
        assert len(made) == 2
        missing = next(body for body in bodies if body not in made)
        refused(await http.post("/projects", json=missing, headers=mine), 409, "QUOTA_EXCEEDED")
        assert (await http.post("/projects", json=made[0], headers=mine)).status_code == 201, "the same once more"
        path = f"/projects/{made[0]['id']}"
        assert (await http.patch(path, json={"archived": True}, headers=mine)).status_code == 200
        assert (await http.post("/projects", json=missing, headers=mine)).status_code == 201
        refused(await http.patch(path, json={"archived": False}, headers=mine), 409, "QUOTA_EXCEEDED")


async def test_a_transfer_gives_nobody_more_projects_than_they_may_have(api: Api) -> None:
    (user_id, mine), (giver_id, giver) = await api.new_user(), await api.new_user()
    async with limited(api, max_projects_per_user=1) as http:
        for owner, project in ((mine, f"t-{user_id}"), (giver, f"t-{giver_id}")):
            assert (await http.post("/projects", json={"id": project, "name": project}, headers=owner)).is_success
        path, body = f"/projects/t-{giver_id}", {"user_id": user_id}
        refused(await http.post(f"{path}/transfer", json=body, headers=giver), 409, "QUOTA_EXCEEDED")
        assert (await http.patch(f"/projects/t-{user_id}", json={"archived": True}, headers=mine)).is_success
        for _ in range(2):
            assert (await http.post(f"{path}/transfer", json=body, headers=giver)).status_code in {200, 404}
        assert (await http.get(path, headers=mine)).json()["project"]["owner_id"] == user_id


async def test_a_person_runs_only_so_many_tasks_at_once_also_through_agents(api: Api) -> None:
    _, mine = await api.new_user()
    project_id = await api.new_project(mine)
    body = {"project_id": project_id, "commands": ["engineering.start"]}
    token = bearer((await api.http.post("/tokens", json=body, headers=mine)).json()["token"])

    def start(number: int) -> dict[str, str]:
        return {"request_id": f"r{number}", "project_id": project_id, "wish": "w"}

    async with limited(api, max_running_tasks_per_user=2) as http:
        posts = (http.post("/engineering", json=start(n), headers=token if n % 2 else mine) for n in range(6))
        codes = sorted(reply.status_code for reply in await asyncio.gather(*posts))
        assert codes == [202, 202, 409, 409, 409, 409]
        refused(await http.post("/deliveries", json=start(9), headers=mine), 409, "QUOTA_EXCEEDED")
        stop = {"request_id": "stop", "project_id": project_id, "action": "stop"}
        assert (await http.post("/deploys", json=stop, headers=mine)).status_code == 202
        _, other = await api.new_user()
        theirs = start(1) | {"project_id": await api.new_project(other)}
        assert (await http.post("/engineering", json=theirs, headers=other)).status_code == 202


def test_the_limits_are_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORCHESTRATOR_MAX_PROJECTS_PER_USER", "7")
    assert Settings(home=tmp_path).max_projects_per_user == 7
