"""Pages of other addresses, and names that others let point here, get nothing from the API and the Web UI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from api.app import create_app
from contracts.errors import OrchestratorError
from runtime.settings import Settings, load_settings
from tests.support.api import Api, Headers, running_api, served

ROUTES = [
    ("GET", "/health"),
    ("GET", "/projects"),
    ("POST", "/projects"),
    ("GET", "/openapi.json"),
    ("GET", "/metrics"),
    ("GET", "/temporal/namespaces"),
    ("POST", "/temporal/api/v1/namespaces/default/workflows/x/terminate"),
    ("POST", "/codec/decode"),
    ("OPTIONS", "/codec/decode"),
    ("GET", "/ui-login?ticket=x"),
    ("GET", "/no-such-route"),
]
FOREIGN_HOSTS = [
    "evil.test",
    "evil.test:8180",
    "127.0.0.1.evil.test",
    "localhost.evil.test",
    "127.0.0.1:8180@evil.test",
    "evil.test#127.0.0.1",
    "api",
    "[::1",
    "",
]
FOREIGN_ORIGINS = [
    "https://evil.test",
    "http://127.0.0.1:18000",
    "http://127.0.0.1",
    "http://localhost:8181",
    "http://127.0.0.1:8180.evil.test",
    "null",
    "",
    "file://",
]


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@asynccontextmanager
async def configured(api: Api, **settings: object) -> AsyncIterator[httpx.AsyncClient]:
    """The same API with other settings."""
    app = create_app(
        Settings.model_validate({"home": api.settings.home, **settings}),
        database_url=api.database_url,
        gateway=api.gateway,
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8180") as http,
    ):
        yield http


def assert_refused(reply: httpx.Response) -> None:
    assert (reply.status_code, reply.json()["code"]) == (403, "NOT_ALLOWED"), reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_each_route_refuses_a_foreign_host_and_a_foreign_origin(api: Api, method: str, path: str) -> None:
    for headers in ({"Host": "evil.test"}, {"Origin": "https://evil.test"}):
        assert_refused(await api.http.request(method, path, headers=headers | api.admin))


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_a_host_that_is_not_ours_is_refused(api: Api, host: str) -> None:
    reply = await api.http.get("/health", headers={"Host": host})
    assert_refused(reply)
    assert "ORCHESTRATOR_PUBLIC_URL" in reply.json()["detail"]


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_an_origin_that_is_not_ours_is_refused(api: Api, origin: str) -> None:
    assert_refused(await api.http.get("/health", headers={"Origin": origin}))
    assert_refused(await api.http.post("/projects", headers={"Origin": origin} | api.admin, json={}))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "127.0.0.1:8180"},
        {"Host": "localhost:8180", "Origin": "http://localhost:8180"},
        {"Host": "LOCALHOST"},
        {"Host": "[::1]:8180", "Origin": "http://[::1]:8180"},
        {"Host": "192.0.2.7:8180", "Origin": "http://192.0.2.7:8180"},
        {"Host": "localhost.:8180"},
    ],
    ids=str,
)
async def test_our_own_addresses_are_served(api: Api, headers: Headers) -> None:
    assert (await api.http.get("/health", headers=headers)).status_code == 200


async def test_two_hosts_are_none(api: Api) -> None:
    both = [("Host", "127.0.0.1:8180"), ("Host", "evil.test")]
    assert_refused(await api.http.get("/health", headers=both))


async def test_two_origins_are_both_looked_at(api: Api) -> None:
    both = [("Origin", "http://127.0.0.1:8180"), ("Origin", "https://evil.test")]
    assert_refused(await api.http.get("/health", headers=both))


async def test_a_program_that_sends_no_host_is_served(api: Api) -> None:
    """Such as the health check of an old load balancer, over HTTP/1.0."""
    async with served(api.app) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
        writer.write(b"GET /health HTTP/1.0\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()


async def test_names_and_the_public_address_are_settings(api: Api) -> None:
    settings = {"public_url": "https://orchestrator.example.test", "api_names": "api, build.lan"}
    async with configured(api, **settings) as http:
        for host in ("api:8180", "BUILD.lan", "orchestrator.example.test"):
            assert (await http.get("/health", headers={"Host": host})).status_code == 200
        page = {"Host": "orchestrator.example.test", "Origin": "https://orchestrator.example.test"}
        assert (await http.get("/health", headers=page)).status_code == 200
        assert_refused(await http.get("/health", headers={"Host": "example.test"}))


async def test_a_refused_body_is_not_even_read(api: Api) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x" * 10_000

    assert_refused(await api.http.post("/projects", content=body(), headers={"Host": "evil.test"} | api.admin))
    assert read <= 1


@pytest.mark.parametrize("names", ["evil.test/path", "a b", "*"])
def test_a_name_that_is_none_is_refused(names: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORCHESTRATOR_API_NAMES", names)
    with pytest.raises(OrchestratorError, match="ORCHESTRATOR_API_NAMES"):
        load_settings()
