"""What cannot be read, an update or an answer of Telegram, neither stops the bot nor makes it repeat itself."""

import httpx
import pytest
from structlog.testing import capture_logs

from emulators.telegram.faults import Fault, Kind
from emulators.telegram.webhook import SECRET_HEADER
from runtime import private_files
from runtime.embedded.ports import any_free
from tests.integration.bot.harness import BotHarness, second_bot
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(40)

_OTHER_TOKEN = "454545:EMULATOR-token-of-the-webhook-bot"


async def test_an_update_that_cannot_be_read_is_skipped_and_everybody_else_is_served(harness: BotHarness) -> None:
    ann, eve = await harness.member(name="Ann"), await harness.member(name="Eve")
    telegram = harness.telegram
    telegram.updates.hold()
    with capture_logs() as logs:
        telegram.say_strangely(eve.id, "a secret of Eve")
        eve.say("/help")
        ann.say("/help")
        telegram.say_strangely(ann.id, "another")
        telegram.updates.release()
        for user in (ann, eve):
            await user.sees("Send me a sentence")
        await eventually(lambda: telegram.updates.pending == [], message="each update was confirmed")
    skipped = [line for line in logs if "skipped" in line]
    assert [line["skipped"] - skipped[0]["skipped"] for line in skipped] == [0, 1], "they are counted"
    assert all(isinstance(line["update"], int) and "forward_origin" in line["where"][0] for line in skipped)
    assert "Eve" not in str(skipped)


async def test_a_message_whose_answer_cannot_be_read_is_sent_once(harness: BotHarness) -> None:
    bob = await harness.member(name="Bob")
    harness.telegram.faults.plan(Fault(Kind.STRANGE, "sendMessage", times=3))
    bob.say("Make a list of hills: name")
    delivery = await harness.started(bob)
    harness.telegram.faults.plan(Fault(Kind.STRANGE, "editMessageText", times=2))
    await delivery.says("developing", 10)
    await bob.sees("🔄 Writing code")
    await delivery.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
    await bob.sees("Ready: list-hills")
    assert len(bob.screens) == 1
    harness.telegram.faults.planned.clear()


async def test_a_refusal_that_cannot_be_read_is_not_repeated_for_ever(harness: BotHarness) -> None:
    cid, ann = await harness.member(name="Cid"), await harness.member(name="Ann")
    harness.telegram.faults.plan(Fault(Kind.REFUSE, "sendMessage", code=400, description="strange"))
    calls = len(harness.telegram.calls)
    cid.say("/help")
    await harness.settled(ann)
    sent = [name for name, _ in harness.telegram.calls[calls:] if name == "sendMessage"]
    assert len(sent) <= 3


async def test_a_webhook_confirms_an_update_that_cannot_be_read(harness: BotHarness) -> None:
    port = any_free()
    url = f"http://127.0.0.1:{port}/telegram"
    async with (
        second_bot(harness, _OTHER_TOKEN, bot_webhook_url=url, bot_webhook_port=port) as harness,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        secret = private_files.read(harness.settings.bot_webhook_secret_path).strip()
        strange = {"update_id": 7, "message": {"message_id": "x", "text": "hidden"}}
        assert (await http.post(url, json=strange, headers={SECRET_HEADER: secret})).status_code == 200
        for body in (b"not json", b"[]", b'{"update_id": true}'):
            assert (await http.post(url, content=body, headers={SECRET_HEADER: secret})).status_code == 400
