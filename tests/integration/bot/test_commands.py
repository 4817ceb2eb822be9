"""Commands answer at once, and each person gets their own work, and reaches nothing else."""

from functools import partial

import pytest

from bot.keyboards import CancelData
from emulators.telegram.chats import Chat, Message
from tests.integration.bot.village import Village
from tests.support.chat import answered, shows
from tests.support.patience import patience

pytestmark = pytest.mark.timeout(40)

NOT_YOURS = "belongs to somebody else"
LISTS = {
    "/status": "Nothing is running",
    "/tasks": "no tasks",
    "/projects": "no projects",
    "/cancel": "nothing to stop",
}
"""Commands, and what they say when there is nothing."""


async def test_every_command_answers_and_starts_nothing(village: Village) -> None:
    gil = await village.member(name="Gil")
    for command, part in (
        ("/start", "Hello"),
        ("/help", "/projects"),
        ("/projects", "no projects"),
        ("/tasks", "no tasks"),
        ("/status", "Nothing is running"),
        ("/cancel", "nothing to stop"),
        ("/new", "Write after the command"),
        ("/language", "which language"),
        ("/users", "do not know this command"),
        ("/allow 5", "do not know this command"),
        ("/nonsense", "do not know this command"),
    ):
        assert part in (await village.replied(gil, command)).text, command
    assert await village.screens(gil) == []
    assert village.deliveries(gil) == []


@pytest.mark.parametrize("role", ["member", "admin"])
async def test_lists_hold_the_persons_own_work_only(village: Village, role: str) -> None:
    """Also an administrator's, who may see everything elsewhere."""
    bob = await village.member(name="Bob")
    bob.say("Make a list of foxes: name")
    foxes = await village.begun(bob)
    await foxes.says("developing")
    ann = await village.member(name="Ann", role=role)
    empty = {command: (await village.replied(ann, command)).text for command in LISTS}
    ann.say("Make a list of owls: name")
    owls = await village.begun(ann)
    await owls.says("testing")
    await ann.sees("🔄 Checks")
    for command, nothing in LISTS.items():
        assert nothing in empty[command], command
        shown = await village.replied(ann, command)
        text = shown.text + "".join(button.text for button in shown.buttons)
        assert "owls" in text, command
        assert "foxes" not in text, command


def with_button(chat: Chat, message: Message, text: str) -> Message | None:
    """The message as it is now, once it has such a button."""
    now = chat.find(message.id)
    return now if now is not None and any(text in button.text for button in now.buttons) else None


async def test_a_cancel_asks_twice_and_reaches_the_one_task(village: Village) -> None:
    cid = await village.member(name="Cid")
    works = []
    for number, kind in enumerate(("trams", "buses"), start=1):
        cid.say(f"/new Make a list of {kind}: name")
        works.append(await village.begun(cid, number))
        await works[-1].says("developing")
        await cid.sees(kind, "🔄")
    screen = await cid.sees("buses")

    def cancelled() -> list[str]:
        return [found for found in village.api.gateway.cancelled if found in {work.workflow_id for work in works}]

    for button, next_one in (("Stop", "Yes, stop"), ("No, go on", "⏹ Stop"), ("Stop", "Yes, stop")):
        cid.press(screen, button)
        screen = await cid.chat.wait(partial(with_button, message=screen, text=next_one), patience(10))
    assert cancelled() == []
    assert "being stopped" in (await answered(cid.press(screen, "Yes, stop")))["text"]
    assert cancelled() == [works[1].workflow_id]
    await works[1].ends("cancelled")
    stopped = await cid.sees("list-buses: stopped")
    assert stopped.id == screen.id

    offered = await village.replied(cid, "/cancel")
    assert ["trams" in button.text for button in offered.buttons] == [True]
    assert "being stopped" in (await answered(cid.press(offered, "trams")))["text"]
    assert cancelled() == [works[1].workflow_id, works[0].workflow_id]


async def test_nobody_stops_what_is_somebody_elses(village: Village) -> None:
    ann, eve, stranger = await village.member(name="Ann"), await village.member(name="Eve"), village.stranger()
    group = village.group(ann, eve, stranger)
    village.telegram.say(ann.id, "/new Make a list of clocks: name", chat_id=group.id)
    work = await village.begun(ann)
    await work.says("developing")
    screen = await shows(group, "🔄")
    for step in ("ask", "sure", "not"):
        data = CancelData(task=work.task_id, step=step).pack()
        assert NOT_YOURS in (await answered(eve.forge(screen, data, chat=group.id)))["text"]
        assert f"Your id is {stranger.id}" in (await answered(stranger.forge(screen, data, chat=group.id)))["text"]
    assert work.workflow_id not in village.api.gateway.cancelled
    assert group.find(screen.id) == screen, "nobody else is asked whether they are sure"


async def test_strangers_learn_their_own_id_and_nothing_else_until_they_are_let_in(village: Village) -> None:
    stranger = village.stranger("ru", "Чужой")
    for text in ("/start", "/projects", "Сделай блог", "/users", f"/allow {stranger.id}"):
        await village.replied(stranger, text)
    assert {message.text for message in stranger.screens} == {stranger.screens[0].text}
    assert str(stranger.id) in stranger.screens[0].text
    group = village.group(stranger)
    village.telegram.say(stranger.id, "Сделай блог", chat_id=group.id)
    assert "пока нет доступа" in (await village.replied(stranger, "/start", group)).text
    assert len(group.from_bot) == 1, "what a stranger says in a group is not for the bot"
    assert village.deliveries(stranger) == []

    admin = await village.member(name="Admin", role="admin")
    assert "has access now" in (await village.replied(admin, f"/allow {stranger.id} New")).text
    assert "has had access before" in (await village.replied(admin, f"/allow {stranger.id}")).text
    assert "Write the person's id" in (await village.replied(admin, "/allow me")).text
    assert "People" in (await village.replied(admin, "/users")).text
    assert "Проектов пока нет" in (await village.replied(stranger, "/projects")).text


async def test_a_person_is_spoken_to_in_the_language_that_they_chose(village: Village) -> None:
    yan = await village.member("ru", "Ян")
    choose = await village.replied(yan, "/language")
    assert "На каком языке" in choose.text
    assert "не знаю такой кнопки" in (await answered(yan.forge(choose, "l:xx")))["text"]
    yan.press(choose, "English")
    await yan.sees("We speak English now")
    assert "Send a sentence" in (await village.replied(yan, "/help")).text
    assert "Nothing is running" in (await village.replied(yan, "/status")).text
    eve = await village.member(None, "Eve")
    assert "Send a sentence" in (await village.replied(eve, "/help")).text
