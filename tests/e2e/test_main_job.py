"""From one sentence to a live URL, as a person with a command line sees it."""

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.people.story import Story
from tests.support.services import engine
from tests.support.services.generated_project import bot_api
from tests.support.stack import Stack

WISH = "A library with books: title, author, year:int"
BOT_TOKEN = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.mark.parametrize(
    "modules", [pytest.param(("backend",), marks=pytest.mark.deep), ("backend", "web")], ids="-".join
)
async def test_a_sentence_becomes_a_service_that_does_what_was_asked(stack: Stack, modules: tuple[str, ...]) -> None:
    project = await stack.new_project(None, *modules)
    started = await stack.ok("delivery", "start", "--project", project, WISH)
    task = await stack.finished(started["task_id"])
    assert task["state"] == "completed", task
    await assert_the_books_are_kept(task["result"]["deployed_url"], with_pages="web" in modules)


@pytest.mark.deep
@pytest.mark.parametrize("modules", [("backend", "tg_bot"), ("backend", "web", "tg_bot")], ids="-".join)
async def test_a_service_with_a_bot_does_what_was_asked(stack: Stack, modules: tuple[str, ...], tmp_path: Path) -> None:
    story = await Story.begin(stack, *modules)
    await stack.ok("secret", "set", story.project, "TELEGRAM_BOT_TOKEN", stdin=BOT_TOKEN)
    await story.built("built", WISH)
    here = await engine.seen_from(stack.server) if stack.server else "127.0.0.1"
    with bot_api("0.0.0.0" if stack.server else "127.0.0.1", seen_as=here) as api:
        keep_away_from_telegram(story.outside.repository, tmp_path / "clone", api.url)
        task = await story.deployed("deployed")
    await assert_the_books_are_kept(task["result"]["deployed_url"], with_pages="web" in modules)
    assert task["result"]["link_of_tg_bot"] == "https://t.me/demo_bot"


@pytest.mark.deep
async def test_a_bot_whose_token_reaches_nobody_does_not_go_live(stack: Stack, tmp_path: Path) -> None:
    story = await Story.begin(stack, "backend", "tg_bot")
    await stack.ok("secret", "set", story.project, "TELEGRAM_BOT_TOKEN", stdin=BOT_TOKEN)
    await story.built("built", WISH)
    keep_away_from_telegram(story.outside.repository, tmp_path / "clone", "http://127.0.0.1:9")
    task = await story.ended(await story.deploy("refused"), "failed")
    assert task["error_code"] == "PROBE_FAILED"
    assert "does not reach Telegram" in task["error"]
    assert (await stack.get(f"/projects/{story.project}"))["project"]["url"] is None


def keep_away_from_telegram(repository: Path, clone: Path, api: str) -> None:
    """Telegram would refuse the token, and the bot would say so and end."""

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=Person", "-c", "user.email=person@localhost")
        subprocess.run(["git", "-c", "safe.directory=*", *identity, *arguments], check=True, capture_output=True)

    git("clone", "--quiet", str(repository), str(clone))
    contract = clone / "env.contract.yaml"
    contract.write_text(contract.read_text().replace("https://api.telegram.org", api))
    git("-C", str(clone), "commit", "--quiet", "--all", "--message", "Use another Bot API server")
    git("-C", str(clone), "push", "--quiet", "origin", "main")


async def assert_the_books_are_kept(url: str, with_pages: bool) -> None:
    async with httpx.AsyncClient(base_url=url) as visitor:
        made = await visitor.post("/books", json={"title": "Emma", "author": "Austen", "year": 1815})
        assert made.status_code == 201
        found = (await visitor.get(f"/books/{made.json()['id']}")).json()
        assert (found["title"], found["year"]) == ("Emma", 1815)
        assert (await visitor.post("/books", json={"title": "x", "author": "y", "year": "soon"})).status_code == 422
        assert (await visitor.get("/books/999")).status_code == 404
        paths = (await visitor.get("/openapi.json")).json()["paths"]
        things = {path.split("/")[1] for path in paths} - {"", "health", "admin"}
        assert things == {"books"}, "what was asked for, and no example beside it"
        first = await visitor.get("/")
        assert first.status_code == 200
        if with_pages:
            assert 'href="/pages/books"' in first.text
            assert "Emma" in (await visitor.get("/pages/books")).text
        else:
            assert first.json()["docs"] == "/docs"
