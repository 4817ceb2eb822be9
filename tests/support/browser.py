"""A real Chromium without a screen, and the Temporal Web UI in it as a person reads it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from playwright.async_api import (
    Error,
    FrameLocator,
    HttpCredentials,
    Page,
    Request,
    Response,
    Route,
    ViewportSize,
    async_playwright,
    expect,
)

from tests.support.eventually import eventually
from tests.support.patience import patience
from tests.support.stack import Stack

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SHOWN_S = 15
"""The Web UI is four hundred small modules, and the two cores are shared."""
_LIST_S = 5
"""For one look at a page that may not have everything yet; then it is loaded again."""
_FIRST_ERROR = 400
_NEVER_CHANGED = "/_app/immutable/"
"""Modules of the Web UI, named after their content."""
_SEEN: dict[str, tuple[str, bytes]] = {}
"""Their types and bodies by address: a browser keeps them, but not where its requests are answered by a test."""
SIZE: ViewportSize = {"width": 1280, "height": 800}


@asynccontextmanager
async def new_page(person: HttpCredentials | None = None) -> AsyncIterator[Page]:
    """A page of 1280 by 800 in a fresh browser: no cookie, no stored setting.

    `person` is who logs in to a proxy that asks; its certificate may be self-signed.
    """
    give_up_ms = patience(_SHOWN_S) * 1000
    expect.set_options(timeout=give_up_ms)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            context = await browser.new_context(
                viewport=SIZE, timezone_id="UTC", http_credentials=person, ignore_https_errors=True
            )
            context.set_default_timeout(give_up_ms)
            if person is None:  # what is read beside the browser does not log in to a proxy
                await context.route("**/*", _past_changes_of_the_network)
            page = await context.new_page()
            page.on("requestfailed", _tell_failed)
            page.on("response", _tell_refused)
            page.on("pageerror", lambda error: sys.stdout.write(f"browser: {error}\n"))
            yield page
        finally:
            await browser.close()


async def _past_changes_of_the_network(route: Route) -> None:
    """Chromium gives up all that it is reading when this machine gets a network interface, as with each container."""
    if route.request.method != "GET" or route.request.resource_type == "document":
        await route.continue_()
        return
    url = route.request.url
    try:
        if url not in _SEEN:
            # The server may close an idle connection at the moment when this reuses it.
            response = await route.fetch(timeout=0, max_retries=5)
            if not (_NEVER_CHANGED in url and response.ok):
                await route.fulfill(response=response)
                return
            _SEEN[url] = (response.headers.get("content-type", ""), await response.body())
        kind, body = _SEEN[url]
        await route.fulfill(content_type=kind, body=body)
    except Error as error:
        sys.stdout.write(f"browser: not read ({error.message.splitlines()[0]}) {url}\n")
        # What nobody answers would leave the page empty. A page that was left or closed waits for nothing.
        with contextlib.suppress(Error):
            await route.abort()


def _tell_failed(request: Request) -> None:
    """For the report of a red test. A page that was left drops its pending requests."""
    if request.failure != "net::ERR_ABORTED":
        sys.stdout.write(f"browser: {request.failure} {request.method} {request.url}\n")


def _tell_refused(response: Response) -> None:
    if response.status >= _FIRST_ERROR:
        sys.stdout.write(f"browser: {response.status} {response.request.method} {response.url}\n")


async def login_link(stack: Stack) -> str:
    """The link that a repeated `up` prints."""
    said = await stack.cli("up", "--detach", "--json")
    assert said.code == 0, said.err
    return str(json.loads(said.out.splitlines()[-1])["web_ui_login_url"])


@dataclass(frozen=True)
class WebUi:
    """The Web UI under an address, in one page."""

    page: Page
    url: str

    async def log_in(self, link: str) -> None:
        await self.page.goto(link, wait_until="commit")
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.wait_for_url("**/namespaces/default/workflows", wait_until="commit")

    async def find(self, query: str, *texts: str) -> None:
        """The list of what a query finds, once it shows these texts: Temporal lists a change a while after it, and
        the page stays as it is.
        """

        async def shown() -> bool:
            await self.page.goto(f"{self.url}/namespaces/default/workflows?query={quote(query)}", wait_until="commit")
            look_ms = patience(_LIST_S) * 1000
            looks = [expect(self.page.get_by_text(text).first).to_be_visible(timeout=look_ms) for text in texts]
            await asyncio.gather(*looks)
            return True

        _: bool = await eventually(shown, 2 * _SHOWN_S)

    async def open_run(self, workflow_id: str) -> None:
        """The newest run of a workflow id, at its timeline."""
        path = f"/namespaces/default/workflows/{quote(workflow_id, safe='')}"

        async def opened() -> bool:
            await self.page.goto(self.url + path, wait_until="commit")
            await expect(self.page).to_have_url(re.compile(r"/timeline$"), timeout=patience(_LIST_S) * 1000)
            return True

        # A person loads a page again that stays empty.
        _: bool = await eventually(opened, 2 * _SHOWN_S)
        await expect(self.page.get_by_test_id("workflow-id-heading")).to_contain_text(workflow_id)

    async def open_tab(self, name: str) -> None:
        """One of the run's tabs, such as `user-metadata`."""
        await self.page.get_by_test_id(f"{name}-tab").click()

    async def sees(self, *texts: str) -> None:
        """Wait until every text is visible."""
        for text in texts:
            await expect(self.page.get_by_text(text).first).to_be_visible()

    def markdown(self, number: int) -> FrameLocator:
        """A rendered text of the tab `user-metadata`: 0 summary, 1 details, 2 current details."""
        return self.page.frame_locator("iframe").nth(number)

    async def bars(self) -> list[str]:
        """The words on the bars of the timeline; only those in sight are drawn, so the page is made tall."""
        await self.page.set_viewport_size({"width": 1280, "height": 2_400})
        bars = self.page.locator("button.event")
        await expect(bars.first).to_be_attached()
        return [" ".join(text.split()) for text in await bars.all_text_contents()]
