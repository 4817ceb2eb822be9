"""Groups: missing rights, supergroups, and questions about secrets."""

from uuid import uuid4

import pytest

from tests.chat.test_secrets import WISH, places_of
from tests.support.people.chat import ChatSystem, answered, link, shows

pytestmark = pytest.mark.timeout(400)


@pytest.mark.deep
async def test_a_chat_where_the_bot_cannot_write_affects_no_other(system: ChatSystem) -> None:
    eve, ann = system.stranger(name="Eve"), await system.member(name="Ann")
    group = system.group(eve)
    group.muted = True
    system.telegram.say(eve.id, "/start", chat_id=group.id)
    ann.say("/help")
    await ann.sees("Send me a sentence", timeout=10)
    assert system.bot.process is not None
    assert system.bot.process.returncode is None
    assert group.from_bot == []


@pytest.mark.deep
async def test_a_secret_for_a_group_is_accepted_in_private_and_is_no_wish(system: ChatSystem) -> None:
    ann = await system.member(name="Ann")
    group = system.group(ann)
    system.telegram.say(ann.id, f"/new {WISH}", chat_id=group.id)
    asked = await shows(group, "PAYMENT_KEY", "in a private chat", timeout=200)
    value = f"sk-{uuid4().hex}"

    bare = ann.say(value)
    await ann.sees("may be the secret", "I've deleted your message")
    assert ann.chat.find(bare.id) is None
    in_group = system.telegram.say(ann.id, value, chat_id=group.id, reply_to=asked.id)
    await shows(group, "I don't accept secrets in groups")
    system.telegram.remove_by_person(group.id, in_group.id)

    named = ann.say(f"PAYMENT_KEY={value}")
    await ann.sees("🔐 Saved: PAYMENT_KEY. I've deleted your message.")
    assert ann.chat.find(named.id) is None
    done = await shows(group, "Ready", timeout=240)
    assert done.id == asked.id
    assert link(done)
    assert len(await system.tasks_of(ann)) == 1
    assert await places_of(system.stack, value) == []


@pytest.mark.deep
async def test_a_task_of_a_group_that_becomes_a_supergroup_ends_there(system: ChatSystem) -> None:
    ann = await system.member(name="Ann")
    group = system.group(ann)
    system.telegram.say(ann.id, "/new Make a list of boats: name", chat_id=group.id)
    await shows(group, "Accepted")
    moved = system.telegram.upgrade(group.id, group.id - 10**12)
    done = await shows(moved, "Ready", timeout=240)
    assert link(done)
    assert [message for message in moved.from_bot if "Ready" in message.text] == [done]
    assert not any("Ready" in message.text for message in group.from_bot)


@pytest.mark.deep
async def test_a_language_button_on_a_task_message_is_refused(system: ChatSystem) -> None:
    ann = await system.member(name="Ann")
    group = system.group(ann)
    system.telegram.say(ann.id, "/new Make a list of trees: name", chat_id=group.id)
    screen = await shows(group, "🔄")
    forged = system.telegram.press(ann.id, group.id, screen.id, "l:ru")
    assert "don't recognise this button" in (await answered(forged))["text"]
    system.telegram.say(ann.id, "/language", chat_id=group.id)
    menu = await shows(group, "Which language")
    pressed = system.telegram.press(ann.id, group.id, menu.id, menu.button("Русский").data or "")
    assert "по-русски" in (await answered(pressed))["text"]
    assert group.find(menu.id) == menu, "the menu stays for the others"
