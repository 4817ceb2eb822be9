"""The API before the Web UI of a real Temporal server, below the path that both were told."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from api.app import create_app
from runtime.settings import Settings
from tests.integration.api.web_ui.test_web_ui import logged_in
from tests.support.api import Headers, running_api
from tests.support.ports import any_free
from tests.support.workflows.temporal_server import running_temporal_server

PAGE = "/temporal/namespaces/default/workflows"


@dataclass(frozen=True)
class Browser:
    """Logged in at the API."""

    http: httpx.AsyncClient
    cookie: Headers

    async def get(self, path: str) -> httpx.Response:
        reply = await self.http.get(path, headers=self.cookie)
        assert reply.status_code == 200, reply.text
        return reply


@pytest_asyncio.fixture(scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    port = any_free()
    async with (
        running_temporal_server(tmp_path_factory.mktemp("temporal"), ui_port=port),
        running_api(tmp_path_factory.mktemp("api")) as api,
    ):
        settings = Settings(home=api.settings.home, admin_user_id=1, ui_port=port)
        app = create_app(settings, database_url=api.database_url, gateway=api.gateway)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=settings.api_url) as http,
        ):
            yield Browser(http, await logged_in(api))


async def test_a_page_finds_its_scripts_and_data_below_the_path(browser: Browser) -> None:
    page = (await browser.get(PAGE)).text
    assert 'base: "/temporal"' in page
    scripts = re.findall(r'"(/[^"]+\.js)"', page)
    assert len(scripts) > 2
    for script in scripts:
        assert script.startswith("/temporal/_app/")
        assert "javascript" in (await browser.get(script)).headers["content-type"]
    known = (await browser.get("/temporal/api/v1/namespaces")).json()["namespaces"]
    assert "default" in {one["namespaceInfo"]["name"] for one in known}
    assert (await browser.get("/temporal/api/v1/settings")).json()["Codec"]["Endpoint"] == "/codec"


async def test_a_page_runs_its_own_scripts_only(browser: Browser) -> None:
    """Below a path the Web UI leaves out the policy that it has at the root."""
    page = await browser.get(PAGE)
    assert "http-equiv" not in page.text, "the Web UI has a policy again; ours may go"
    columns, script = re.findall(r"<script[^>]*>(.*?)</script>", page.text, re.DOTALL)
    assert "ProjectName" in columns
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in (columns, script)]
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    assert page.headers["content-security-policy"].startswith(f"script-src 'strict-dynamic' {allowed}; ")
    assert page.headers["x-frame-options"] == "SAMEORIGIN"


async def test_markdown_of_a_workflow_is_rendered_in_a_sandbox(browser: Browser) -> None:
    rendered = await browser.get("/temporal/render?content=a%20**bold**%20word&theme=light")
    assert "<strong>bold</strong>" in rendered.text
    assert "sandbox" in rendered.headers["content-security-policy"]


async def test_a_link_of_an_earlier_version_is_followed_to_a_page(browser: Browser) -> None:
    moved = await browser.http.get("/namespaces/default/workflows?query=x", headers=browser.cookie)
    assert moved.headers["location"] == f"{PAGE}?query=x"
    assert "<script>" in (await browser.get(moved.headers["location"])).text
