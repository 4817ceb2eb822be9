"""Secrets that are typed into a chat: in the store and nowhere else, and never a wish."""

from typing import Any
from uuid import uuid4

import pytest

from contracts.ids import secret_ref
from tests.integration.bot.village import Village, Work
from tests.support.chat import Talker, shows

pytestmark = pytest.mark.timeout(40)

NAME = "PAYMENT_KEY"


def a_secret() -> str:
    return f"sk-{uuid4().hex}"


async def asked_for(village: Village, talker: Talker, *names: str, **fields: Any) -> Work:
    return await village.asked(talker, kind="secret", secret_names=list(names or [NAME]), choices=["stop"], **fields)


async def stored(work: Work, name: str = NAME) -> str:
    """The value in the store, as only the platform may read it."""
    ref = secret_ref(work.message.project_id, name)
    reply = await work.api.http.post("/internal/secrets/reveal", json={"refs": [ref]}, headers=work.api.platform)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["values"][ref])


async def tables_with(village: Village, text: str) -> list[str]:
    """The tables of the API that hold a text in the clear."""
    tables = await village.api.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = []
    for name in (row["tablename"] for row in tables):
        held = await village.api.rows(f'SELECT 1 FROM "{name}" AS t WHERE t::text LIKE $1 LIMIT 1', f"%{text}%")
        found += [name] if held else []
    return found


async def test_a_typed_secret_goes_to_the_store_and_its_message_is_deleted(village: Village) -> None:
    ann = await village.member(name="Ann")
    work = await asked_for(village, ann)
    value = a_secret()
    said = ann.say(value)
    update = village.telegram.last_update()
    await ann.sees(f"🔐 Stored: {NAME}. Your message is deleted.")
    village.telegram.updates.repeat(update)
    await village.settled(ann)
    assert ann.chat.find(said.id) is None
    [(command, _)] = work.answers
    assert (command.secret_stored, command.text, command.actor.user_id) == (True, "", ann.id)
    assert await stored(work) == value
    assert await tables_with(village, value) == []
    assert await tables_with(village, "Make a list of books") != [], "so that the search can fail"
    assert not any(value in message.text for frame in ann.chat.frames for message in frame.screen if message.from_bot)


async def test_several_secrets_are_named_and_the_workflow_is_told_of_the_last(village: Village) -> None:
    bob = await village.member(name="Bob")
    work = await asked_for(village, bob, "FIRST_KEY", "SECOND_KEY")
    first, second = a_secret(), a_secret()
    unclear = bob.say("one two")
    await bob.sees("could not read that", "FIRST_KEY, SECOND_KEY")
    bob.say(f"FIRST_KEY={first}")
    await bob.sees("Stored: FIRST_KEY.")
    assert work.answers == []
    bob.say(second)
    await bob.sees("Stored: SECOND_KEY.")
    assert [command.secret_stored for command, _ in work.answers] == [True]
    assert (await stored(work, "FIRST_KEY"), await stored(work, "SECOND_KEY")) == (first, second)
    assert bob.chat.find(unclear.id) is None
    assert len(await village.screens(bob)) == 1


async def test_a_message_that_cannot_be_deleted_is_named(village: Village) -> None:
    cid = await village.member(name="Cid")
    work = await asked_for(village, cid)
    village.telegram.updates.hold()
    said = cid.say(f"{NAME}={a_secret()}")
    cid.chat.undeletable.add(said.id)
    village.telegram.updates.release()
    await cid.sees(f"Stored: {NAME}.", "could not delete your message")
    assert await work.secrets() == [NAME]


async def test_a_question_about_a_secret_can_be_stopped_in_words(village: Village) -> None:
    dan = await village.member(name="Dan")
    work = await asked_for(village, dan)
    said = dan.say("stop")
    await village.settled(dan)
    assert [(command.text, command.secret_stored) for command, _ in work.answers] == [("stop", False)]
    assert dan.chat.find(said.id) == said
    assert await work.secrets() == []


@pytest.mark.parametrize("kind", ["group", "supergroup"])
async def test_a_secret_in_a_group_is_refused_and_taken_back_and_the_private_chat_takes_it(
    village: Village, kind: str
) -> None:
    eve = await village.member(name="Eve")
    group = village.group(eve, kind=kind)
    group.admin_bot = True
    village.telegram.say(eve.id, "/new Make a list of bills", chat_id=group.id)
    work = await village.begun(eve)
    await work.asks(kind="secret", secret_names=[NAME], choices=["stop"])
    screen = await shows(group, NAME, "in the private chat")
    value = a_secret()

    in_group = village.telegram.say(eve.id, value, chat_id=group.id, reply_to=screen.id)
    await shows(group, "Secrets are not for groups")
    bare = eve.say(value)
    await eve.sees("may be the secret", "I have deleted your message")
    assert (group.find(in_group.id), eve.chat.find(bare.id)) == (None, None)
    assert (await work.secrets(), work.answers, len(await village.screens(eve))) == ([], [], 1)

    named = eve.say(f"{NAME}={value}")
    await eve.sees(f"🔐 Stored: {NAME}. Your message is deleted.")
    assert eve.chat.find(named.id) is None
    assert await stored(work) == value
    assert [command.secret_stored for command, _ in work.answers] == [True]
    assert not any(value in message.text for message in [*group.screen, *eve.chat.screen])


async def test_a_secret_that_comes_too_late_is_no_wish_and_is_taken_back(village: Village) -> None:
    fay = await village.member(name="Fay")
    work = await asked_for(village, fay)
    fay.say(a_secret())
    await fay.sees("Stored")
    await work.goes_on()
    screen = await fay.sees("🔄")
    for reply_to in (None, screen):
        last = fay.screens[-1].id
        late = fay.say(a_secret(), reply_to=reply_to)
        await fay.sees("may have been a secret", after=last)
        assert fay.chat.find(late.id) is None
    assert len(work.answers) == 1
    assert len(await village.screens(fay)) == 1
    fay.say("/new Make a list of moons")
    await village.begun(fay, 2)


async def test_a_text_for_one_of_two_questions_is_taken_back_when_it_may_be_the_secret(village: Village) -> None:
    gil = await village.member(name="Gil")
    first = await asked_for(village, gil, wish="Make a list of taxes")
    second = await village.asked(gil, "Make a list of gifts", choices=["big", "small"])
    said = gil.say(a_secret())
    await gil.sees("several answers", "I have deleted your message")
    assert gil.chat.find(said.id) is None
    assert (first.answers, second.answers, await first.secrets()) == ([], [], [])
