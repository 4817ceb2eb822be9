"""The Temporal Web UI in a real Chromium, as the person who waits for a delivery reads it.

With WEB_UI_SCREENSHOTS=DIRECTORY the pages are saved as the pictures of docs/web-ui.md.
"""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Traced
from tests.e2e.login_proxy import Proxied, proxied_api
from tests.support.browser import SIZE, WebUi, login_link, new_page
from tests.support.stack import ROOT, Stack

# The first test may have to bring the platform up.
pytestmark = pytest.mark.timeout(600)

WISH = "A library with books: title, author, year:int"
CIPHERTEXT = re.compile(r"[A-Za-z0-9+/]{60,}")


@dataclass(frozen=True)
class Delivered:
    """A delivery that has ended, and the ids of its runs."""

    project_id: str
    slug: str
    task_id: str
    url: str

    @property
    def delivery(self) -> str:
        return f"delivery/{self.slug}/{self.task_id}"

    @property
    def engineering(self) -> str:
        return f"engineering/{self.task_id.replace('dlv-', 'eng-')}"

    @property
    def deploy(self) -> str:
        return f"deploy/{self.slug}"

    @property
    def worker(self) -> str:
        return f"worker/{self.task_id.replace('dlv-', 'eng-')}"


@pytest.fixture(scope="module")
def stack(without_docker: Traced) -> Stack:
    """The pages show the same wherever things run."""
    return without_docker.stack


@pytest.fixture(scope="module")
async def delivered(stack: Stack) -> Delivered:
    project = await stack.new_project(f"library-{uuid4().hex[:6]}")
    started = await stack.ok("delivery", "start", "--project", project, WISH)
    task = await stack.finished(started["task_id"])
    assert task["state"] == "completed", task
    slug = (await stack.ok("project", "show", project))["project"]["slug"]
    return Delivered(project, slug, started["task_id"], task["result"]["deployed_url"])


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with new_page() as page:
        yield page


@pytest.fixture
async def readable(stack: Stack, page: Page) -> WebUi:
    """The Web UI behind the login, logged in."""
    ui = WebUi(page, stack.settings.web_ui_url)
    await ui.log_in(await login_link(stack))
    return ui


async def keep_picture(page: Page, name: str, from_heading: str = "") -> None:
    if directory := os.environ.get("WEB_UI_SCREENSHOTS"):
        await page.set_viewport_size(SIZE)
        if from_heading:
            heading = page.get_by_role("heading", name=from_heading, exact=True)
            await heading.evaluate("heading => heading.scrollIntoView({block: 'center'})")
        await page.screenshot(path=Path(directory) / f"{name}.png", animations="disabled")


async def test_the_runs_of_a_project_are_found_by_id_and_name_with_business_ids_and_columns(
    readable: WebUi, delivered: Delivered
) -> None:
    runs = (delivered.delivery, delivered.engineering, delivered.deploy, delivered.worker)
    await readable.find(f'ProjectId = "{delivered.project_id}"', *runs)
    await expect(readable.page.get_by_test_id("workflow-count")).to_have_text(re.compile(r"\b4\b"))
    for column in ("ProjectName", "Stage", "UserId"):
        await expect(readable.page.get_by_role("columnheader", name=column)).to_be_visible()
    await keep_picture(readable.page, "web-ui-list")
    name = delivered.slug.rpartition("-")[0]
    await readable.find(f'ProjectName = "{name}"', *runs)
    ended = f'ProjectId = "{delivered.project_id}" AND Stage = "completed" AND WorkflowType = "deploy"'
    await readable.find(ended, delivered.deploy)
    await expect(readable.page.get_by_text(delivered.engineering)).to_have_count(0)


async def test_the_timeline_speaks_of_the_work_in_business_words(readable: WebUi, delivered: Delivered) -> None:
    await readable.open_run(delivered.engineering)
    await readable.sees(
        "Developer: one turn of the agent", "Tester: the project's checks", "Publish the verified commit"
    )
    words = await readable.bars()
    assert any(re.fullmatch(r"repository\.scaffold • Scaffold u1/library-\w+", text) for text in words), words
    assert not any(CIPHERTEXT.search(text) for text in words), words
    await keep_picture(readable.page, "web-ui-timeline", "Timeline")
    await readable.open_run(delivered.deploy)
    await readable.bars()
    await readable.sees("Resolve secrets", "Put the release on the server", "Probe the URL from outside")


async def test_the_details_are_readable_markdown(readable: WebUi, delivered: Delivered) -> None:
    await readable.open_run(delivered.delivery)
    await readable.open_tab("user-metadata")
    await expect(readable.markdown(0).locator("body")).to_contain_text(f"Delivery: {WISH}")
    await expect(readable.markdown(1).locator("blockquote")).to_have_text(WISH)
    current = readable.markdown(2)
    await expect(current.locator("strong")).to_have_text([WISH, "completed"])
    await expect(current.locator("li")).to_have_count(4)
    await expect(current.locator("li a")).to_have_attribute("href", delivered.url)
    await keep_picture(readable.page, "web-ui-details")


async def test_without_a_login_ids_are_readable_and_everything_else_is_sealed(
    stack: Stack, page: Page, delivered: Delivered
) -> None:
    ui = WebUi(page, stack.settings.ui_url)
    await ui.find(f'ProjectId = "{delivered.project_id}"', delivered.delivery, delivered.engineering)
    await ui.open_run(delivered.delivery)
    await expect(page.get_by_test_id("input-and-result")).to_contain_text(CIPHERTEXT)
    assert WISH not in await page.inner_text("body")
    assert not any("Engineering:" in text for text in await ui.bars())
    await keep_picture(page, "web-ui-encrypted", "Timeline")


@pytest.mark.deep
async def test_the_link_of_a_task_says_how_to_log_in_and_is_readable_after_that(
    stack: Stack, page: Page, delivered: Delivered
) -> None:
    link = (await stack.task(delivered.task_id))["web_url"]
    await page.goto(link)
    await expect(page.get_by_role("heading")).to_have_text("This browser is not logged in")
    await expect(page.get_by_role("link")).to_have_attribute(
        "href", re.compile(re.escape(f"{stack.settings.ui_url}/namespaces/default/workflows/delivery%2F"))
    )
    await keep_picture(page, "web-ui-login")
    ui = WebUi(page, stack.settings.web_ui_url)
    await ui.log_in(await login_link(stack))
    await page.goto(link, wait_until="commit")
    await expect(page.get_by_test_id("input-and-result")).to_contain_text(WISH)


@pytest.mark.deep
async def test_the_links_of_every_command_open_the_very_run(
    stack: Stack, readable: WebUi, delivered: Delivered
) -> None:
    listed = (await stack.ok("task", "list", "--project", delivered.project_id))["items"]
    assert {task["kind"] for task in listed} == {"delivery", "engineering", "deploy"}
    for task in listed:
        shown = await stack.task(task["id"])
        assert shown["web_url"] == task["web_url"]
        await readable.page.goto(task["web_url"], wait_until="commit")
        await expect(readable.page.get_by_test_id("workflow-id-heading")).to_contain_text(task["workflow_id"])
        assert f"/{task['run_id']}/" in readable.page.url


def documented_views() -> dict[str, str]:
    """The saved views that docs/web-ui.md tells people to make."""
    rows = re.findall(
        r"^\| ([^|`]+?(?:`[a-z]+`)?) \| `([^`]+)`", (ROOT / "docs" / "web-ui.md").read_text(), re.MULTILINE
    )
    return {name: query for name, query in rows if "=" in query or " IS " in query}


@pytest.mark.deep
async def test_the_documented_views_find_what_waits_for_a_person_and_what_has_failed_today(
    stack: Stack, readable: WebUi
) -> None:
    views, client = documented_views(), await stack.client()
    assert {"My project", "Waiting for a person", "Failed today"} <= set(views), views
    for query in views.values():
        await client.count_workflows(query)  # refuses what it does not understand
    project = await stack.new_project()
    wish = ("engineering", "start", "--project", project, "A library with books: title [agent:ask]")
    started = await stack.ok(*wish)
    asked = await stack.question(project)
    await readable.find(views["Waiting for a person"], started["workflow_id"])
    await stack.ok("answer", asked["id"], "stop")
    assert (await stack.finished(started["task_id"]))["state"] == "failed"
    today = re.sub(r"\d{4}-\d\d-\d\d", datetime.now(UTC).date().isoformat(), views["Failed today"])
    await readable.find(today, started["workflow_id"])
    still = await client.count_workflows(f'{views["Waiting for a person"]} AND ProjectId = "{project}"')
    assert still.count == 0


@pytest.fixture(scope="module")
async def proxied(stack: Stack) -> AsyncIterator[Proxied]:
    """A second API of the same platform, behind a proxy that knows an admin, a member and a stranger."""
    await stack.ok("user", "add", "4711", "--name", "bob")
    async with proxied_api(stack, {"alice": 1, "bob": 4711}) as running:
        yield running


@pytest.mark.deep
async def test_an_admin_whom_the_proxy_knows_opens_the_link_of_a_task_and_reads(
    proxied: Proxied, delivered: Delivered
) -> None:
    async with new_page(proxied.person("alice")) as page:
        link = await proxied.link_of(delivered.task_id)
        assert link.startswith(f"{proxied.url}/temporal/namespaces/default/workflows/delivery%2F")
        await page.goto(link, wait_until="commit")
        await expect(page.get_by_test_id("workflow-id-heading")).to_contain_text(delivered.delivery)
        await expect(page.get_by_test_id("input-and-result")).to_contain_text(WISH)
        ui = WebUi(page, proxied.url)
        await ui.open_tab("user-metadata")
        await expect(ui.markdown(1).locator("blockquote")).to_have_text(WISH)


@pytest.mark.parametrize("name", ["bob", "mallory"], ids=["a member", "somebody the platform does not know"])
@pytest.mark.deep
async def test_whoever_else_the_proxy_lets_in_reads_nothing(proxied: Proxied, delivered: Delivered, name: str) -> None:
    async with new_page(proxied.person(name)) as page:
        await page.goto(await proxied.link_of(delivered.task_id))
        await expect(page.get_by_role("heading")).to_have_text("You have no access to these pages")
        assert WISH not in await page.content()
        history = f"/temporal/api/v1/namespaces/default/workflows/{delivered.delivery.replace('/', '%2F')}/history"
        assert (await page.request.get(proxied.url + history)).status == 403
        decode = await page.request.post(f"{proxied.url}/codec/decode", headers={"Origin": proxied.url}, data="{}")
        assert decode.status == 403


@pytest.mark.deep
async def test_the_api_behind_the_proxy_believes_no_one_who_comes_past_it(
    proxied: Proxied, delivered: Delivered
) -> None:
    async with new_page() as page:
        await page.set_extra_http_headers({"X-Forwarded-User": "alice", "X-Forwarded-For": "127.0.0.1"})
        link = (await proxied.link_of(delivered.task_id)).replace(proxied.url, proxied.behind)
        await page.goto(link)
        await expect(page.get_by_role("heading")).to_have_text("This browser is not logged in")
        assert WISH not in await page.content()
