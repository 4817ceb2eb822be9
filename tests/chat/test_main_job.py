"""A sentence in a chat becomes a URL that answers, and everything is one message."""

import httpx
import pytest

from bot.emulator.telegram import Telegram
from tests.support.chat import Town, link, running_town
from tests.support.stack import Stack, _free_base

pytestmark = pytest.mark.timeout(400)

WISH = "Сделай сервис заметок: title, text"


async def test_a_sentence_ends_in_a_url_that_answers(town: Town) -> None:
    ann = await town.member("ru", "Аня")
    ann.say(WISH)
    accepted = await ann.sees("Принято", timeout=10)
    done = await ann.sees("Готово: zametok", timeout=240)
    assert done.id == accepted.id
    assert len(ann.screens) == 1
    assert done.buttons == []
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{link(done)}/health")).status_code == 200
    texts = [version.text for version in ann.chat.versions(done.id)]
    assert len(texts) >= 3
    assert any("🔄 Написание кода" in text for text in texts)
    assert len(await town.tasks_of(ann)) == 1
