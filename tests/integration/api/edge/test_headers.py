"""Every reply tells browsers what it may do, and has one date."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from api.app import create_app
from runtime.settings import Settings
from tests.integration.api.access.test_revocation import new_login
from tests.support.api import Api, running_api, served

EVERYWHERE = {"x-content-type-options", "referrer-policy", "x-frame-options", "content-security-policy"}


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"), ("GET", "/openapi.json"), ("GET", "/nowhere"), ("GET", "/users"), ("GET", "/metrics"),
        ("POST", "/projects"), ("TRACE", "/projects"), ("GET", "/temporal/namespaces"), ("GET", "/ui-login?ticket=x"),
        ("GET", "/"), ("GET", "/namespaces/default"), ("HEAD", "/ui-login"), ("POST", "/ui-login"),
        ("POST", "/codec/decode"), ("OPTIONS", "/users"),
    ],
)  # fmt: skip
async def test_every_reply_has_them_once(api: Api, method: str, path: str) -> None:
    for headers in ({}, {"Accept": "text/html"}, api.admin):
        reply = await api.http.request(method, path, headers=headers)
        for name in EVERYWHERE:
            assert len(reply.headers.get_list(name)) == 1, (name, reply.headers)
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors" in reply.headers["content-security-policy"]
        assert "strict-transport-security" not in reply.headers


async def test_an_unexpected_error_and_a_refused_body_have_them_too(api: Api) -> None:
    api.gateway.refusal = RuntimeError("x")  # type: ignore[assignment]  # on purpose no domain error
    body = {"request_id": "r", "project_id": await api.new_project(api.admin), "wish": "w"}
    failed = await api.http.post("/engineering", json=body, headers=api.admin)
    api.gateway.refusal = None
    refused = await api.http.post("/projects", content=b" " * 100_000)
    assert [failed.status_code, refused.status_code] == [500, 413]
    for reply in (failed, refused):
        assert set(reply.headers) >= EVERYWHERE


async def test_an_address_with_https_is_not_asked_without(api: Api) -> None:
    app = create_app(
        Settings(home=api.settings.home, public_url="https://orchestrator.example.test"), database_url=api.database_url
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        assert "max-age" in (await http.get("/nowhere")).headers["strict-transport-security"]


@pytest.mark.parametrize("kind", ["text/html", "application/javascript"])
async def test_a_page_of_the_web_ui_has_one_date_and_may_be_framed_by_itself_only(api: Api, kind: str) -> None:
    async def web_ui(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        said = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: upstream\r\n"
        writer.write(f"{said}Content-Length: 26\r\nConnection: close\r\n\r\n<script>let a = 1</script>".encode())
        await writer.drain()
        writer.close()

    ui = httpx.URL(api.settings.ui_origin)
    cookie = await new_login(api, api.admin)
    async with (
        await asyncio.start_server(web_ui, ui.host, ui.port),
        served(api.app) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        reply = await http.get("/temporal/some", headers=cookie)
    assert len(reply.headers.get_list("date")) == 1
    assert "1970" not in reply.headers["date"]
    assert "upstream" not in reply.headers.get("server", "")
    assert "frame-ancestors 'self'" in reply.headers["content-security-policy"]
    assert ("script-src" in reply.headers["content-security-policy"]) == (kind == "text/html")
