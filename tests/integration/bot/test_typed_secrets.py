"""Secrets that are typed into a chat: in the store and nowhere else, and never a wish."""

from typing import Any
from uuid import uuid4

import pytest

from contracts.ids import secret_ref
from tests.integration.bot.harness import BotHarness, FakeDelivery
from tests.support.people.chat import ChatUser, shows

pytestmark = pytest.mark.timeout(40)

NAME = "PAYMENT_KEY"


def a_secret() -> str:
    return f"sk-{uuid4().hex}"


async def asked_for(harness: BotHarness, user: ChatUser, *names: str, **fields: Any) -> FakeDelivery:
    return await harness.asked(user, kind="secret", secret_names=list(names or [NAME]), choices=["stop"], **fields)


async def stored(delivery: FakeDelivery, name: str = NAME) -> str:
    """The value in the store, as only the platform may read it."""
    ref = secret_ref(delivery.message.project_id, name)
    reply = await delivery.api.http.post(
        "/internal/secrets/reveal", json={"refs": [ref]}, headers=delivery.api.platform
    )
    assert reply.status_code == 200, reply.text
    return str(reply.json()["values"][ref])


async def tables_with(harness: BotHarness, text: str) -> list[str]:
    """The tables of the API that hold a text in the clear."""
    tables = await harness.api.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = []
    for name in (row["tablename"] for row in tables):
        held = await harness.api.rows(f'SELECT 1 FROM "{name}" AS t WHERE t::text LIKE $1 LIMIT 1', f"%{text}%")
        found += [name] if held else []
    return found


async def test_a_typed_secret_goes_to_the_store_and_its_message_is_deleted(harness: BotHarness) -> None:
    ann = await harness.member(name="Ann")
    delivery = await asked_for(harness, ann)
    value = a_secret()
    said = ann.say(value)
    update = harness.telegram.last_update()
    await ann.sees(f"🔐 Saved: {NAME}. I've deleted your message.")
    harness.telegram.updates.repeat(update)
    await harness.settled(ann)
    assert ann.chat.find(said.id) is None
    [(command, _)] = delivery.answers
    assert (command.secret_stored, command.text, command.actor.user_id) == (True, "", ann.id)
    assert await stored(delivery) == value
    assert await tables_with(harness, value) == []
    assert await tables_with(harness, "Make a list of books") != [], "so that the search can fail"
    assert not any(value in message.text for frame in ann.chat.frames for message in frame.screen if message.from_bot)


async def test_several_secrets_are_sent_by_name_and_the_last_one_is_the_answer(harness: BotHarness) -> None:
    bob = await harness.member(name="Bob")
    delivery = await asked_for(harness, bob, "FIRST_KEY", "SECOND_KEY")
    first, second = a_secret(), a_secret()
    unclear = bob.say("one two")
    await bob.sees("couldn't read that", "FIRST_KEY, SECOND_KEY", "I've deleted your message")
    bob.say(f"FIRST_KEY={first}")
    await bob.sees("Saved: FIRST_KEY.")
    assert delivery.answers == []
    bob.say(second)
    await bob.sees("Saved: SECOND_KEY.")
    assert [command.secret_stored for command, _ in delivery.answers] == [True]
    assert (await stored(delivery, "FIRST_KEY"), await stored(delivery, "SECOND_KEY")) == (first, second)
    assert bob.chat.find(unclear.id) is None
    assert len(await harness.screens(bob)) == 1


async def test_the_bot_says_so_if_it_cannot_delete_a_message(harness: BotHarness) -> None:
    cid = await harness.member(name="Cid")
    delivery = await asked_for(harness, cid)
    harness.telegram.updates.hold()
    said = cid.say(f"{NAME}={a_secret()}")
    cid.chat.undeletable.add(said.id)
    harness.telegram.updates.release()
    await cid.sees(f"Saved: {NAME}.", "couldn't delete your message")
    assert await delivery.secrets() == [NAME]


async def test_a_question_about_a_secret_can_be_stopped_in_words(harness: BotHarness) -> None:
    dan = await harness.member(name="Dan")
    delivery = await asked_for(harness, dan)
    said = dan.say("stop")
    await harness.settled(dan)
    assert [(command.text, command.secret_stored) for command, _ in delivery.answers] == [("stop", False)]
    assert dan.chat.find(said.id) == said
    assert await delivery.secrets() == []


@pytest.mark.parametrize("kind", ["group", "supergroup"])
async def test_a_secret_in_a_group_is_refused_and_accepted_in_private(harness: BotHarness, kind: str) -> None:
    eve = await harness.member(name="Eve")
    group = harness.group(eve, kind=kind)
    group.admin_bot = True
    harness.telegram.say(eve.id, "/new Make a list of bills", chat_id=group.id)
    delivery = await harness.started(eve)
    await delivery.asks(kind="secret", secret_names=[NAME], choices=["stop"])
    screen = await shows(group, NAME, "in a private chat")
    value = a_secret()

    in_group = harness.telegram.say(eve.id, value, chat_id=group.id, reply_to=screen.id)
    await shows(group, "I don't accept secrets in groups")
    bare = eve.say(value)
    await eve.sees("may be the secret", "I've deleted your message")
    assert (group.find(in_group.id), eve.chat.find(bare.id)) == (None, None)
    assert (await delivery.secrets(), delivery.answers, len(await harness.screens(eve))) == ([], [], 1)

    named = eve.say(f"{NAME}={value}")
    await eve.sees(f"🔐 Saved: {NAME}. I've deleted your message.")
    assert eve.chat.find(named.id) is None
    assert await stored(delivery) == value
    assert [command.secret_stored for command, _ in delivery.answers] == [True]
    assert not any(value in message.text for message in [*group.screen, *eve.chat.screen])


async def test_a_late_secret_is_deleted_and_is_no_wish(harness: BotHarness) -> None:
    fay = await harness.member(name="Fay")
    delivery = await asked_for(harness, fay)
    fay.say(a_secret())
    await fay.sees("Saved")
    await delivery.closes_question()
    screen = await fay.sees("🔄")
    for reply_to in (None, screen):
        last = fay.screens[-1].id
        late = fay.say(a_secret(), reply_to=reply_to)
        await fay.sees("may be a secret, but", after=last)
        assert fay.chat.find(late.id) is None
    assert len(delivery.answers) == 1
    assert len(await harness.screens(fay)) == 1
    fay.say("/new Make a list of moons")
    await harness.started(fay, 2)


async def test_an_ambiguous_text_is_deleted_if_it_may_be_a_secret(harness: BotHarness) -> None:
    gil = await harness.member(name="Gil")
    first = await asked_for(harness, gil, wish="Make a list of taxes")
    second = await harness.asked(gil, "Make a list of gifts", choices=["big", "small"])
    said = gil.say(a_secret())
    await gil.sees("several answers", "I've deleted your message")
    assert gil.chat.find(said.id) is None
    assert (first.answers, second.answers, await first.secrets()) == ([], [], [])
