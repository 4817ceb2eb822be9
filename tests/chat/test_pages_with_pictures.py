"""A wish with a page: what it looks like is seen in the chat and saved from the command line."""

from pathlib import Path

import httpx
import pytest

from emulators.telegram.chats import Message
from tests.chat.test_main_job import checked
from tests.support.people.chat import ChatSystem, link

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(900)]

WISH = "Web pages with lamps: name, watts:int"
PNG = b"\x89PNG\r\n\x1a\n"


async def test_a_wish_with_a_page_sends_its_picture_and_saves_it(system: ChatSystem, tmp_path: Path) -> None:
    eve = await system.member("en", "Eve")
    async with checked(system.stack):
        asked = eve.say(WISH)
        done = await eve.sees("Ready:", after=asked.id, timeout=600)
    assert "Built and checked:" in done.text
    picture = await eve.chat.wait(lambda now: next((one for one in now.from_bot if one.photo), None), 60)
    assert_a_picture_of(picture, done)
    (task,) = await system.tasks_of(eve)
    watched = await system.stack.cli("task", "watch", task["id"])
    assert f"orchestrator task screenshots {task['id']}" in watched.out
    shown = await system.stack.cli("task", "show", task["id"])
    assert "Screenshot 1" in shown.out
    saved = await system.stack.cli("task", "screenshots", task["id"], "--to", str(tmp_path))
    (file,) = [Path(line) for line in saved.out.splitlines() if line.endswith(".png")]
    assert file.read_bytes() == picture.photo
    async with httpx.AsyncClient() as http:
        assert "/pages/lamps" in (await http.get(link(done))).text


def assert_a_picture_of(picture: Message, done: Message) -> None:
    assert picture.photo is not None
    assert picture.photo.startswith(PNG)
    assert len(picture.photo) > 2_000, "an empty page is smaller"
    assert picture.reply_to == done.id
