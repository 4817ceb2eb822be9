"""What was built, what was not, and what nobody could check, as the chat shows it; a page comes as a picture."""

import pytest

from runtime.artifacts import DirectoryArtifactStore
from tests.integration.bot.harness import BotHarness

pytestmark = pytest.mark.timeout(40)

URL = "http://127.0.0.1:18999"
PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 10


def criterion(number: int, state: str) -> dict[str, object]:
    return {"id": f"c{number}", "sentence": "s", "words": f"clause {number}", "state": state}


async def test_the_end_says_what_was_checked_and_shows_the_page(harness: BotHarness) -> None:
    eve = await harness.member(name="Eve")
    eve.say("Make a web page with a list of lamps: name")
    delivery = await harness.started(eve)
    picture = await DirectoryArtifactStore(harness.settings.artifacts_dir).put("lamps.png", PNG, "image/png")
    result = {"deployed_url": URL, "screenshot_1": picture.uri}
    states = [criterion(1, "met"), criterion(2, "not_checkable"), criterion(3, "not_met")]
    await delivery.ends("completed", result=result, criteria=states, artifacts=[picture.model_dump(mode="json")])
    await eve.sees("✅ Ready", "Built and checked:\n• clause 1", "Not checked:\n• clause 2", "Not built:\n• clause 3")
    shown = await eve.chat.wait(lambda now: next((one for one in now.from_bot if one.photo), None), 15)
    assert shown.photo == PNG
    assert shown.text.startswith("A page of ")
    await harness.screens_are_final(eve, True)


async def test_a_picture_that_telegram_refuses_or_that_is_gone_holds_up_nothing(harness: BotHarness) -> None:
    fay = await harness.member(name="Fay")
    fay.say("Make a web page with a list of coats: name")
    delivery = await harness.started(fay)
    broken = await DirectoryArtifactStore(harness.settings.artifacts_dir).put("coats.png", b"no picture", "image/png")
    result = {"deployed_url": URL, "screenshot_1": broken.uri, "screenshot_2": f"artifact://{'0' * 64}/gone.png"}
    await delivery.ends("completed", result=result, artifacts=[broken.model_dump(mode="json")])
    await fay.sees("✅ Ready")
    await harness.screens_are_final(fay, True)
    assert not [one for one in fay.chat.from_bot if one.photo]
