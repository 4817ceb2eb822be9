"""Commands answer immediately, and show and affect only the person's own work."""

from functools import partial

import pytest

from bot.rendering.keyboards import CancelData
from emulators.telegram.chats import Chat, Message
from tests.integration.bot.harness import BotHarness
from tests.support.patience import patience
from tests.support.people.chat import answered, shows

pytestmark = pytest.mark.timeout(40)

NOT_YOURS = "belongs to someone else"
LISTS = {
    "/status": "Nothing is running",
    "/tasks": "no tasks",
    "/projects": "no projects",
    "/cancel": "no running tasks",
}
"""Commands, and their answers while there is nothing to list."""


async def test_every_command_answers_and_starts_nothing(harness: BotHarness) -> None:
    gil = await harness.member(name="Gil")
    for command, part in (
        ("/start", "Hello"),
        ("/help", "/projects"),
        ("/projects", "no projects"),
        ("/tasks", "no tasks"),
        ("/status", "Nothing is running"),
        ("/cost", "cost nothing"),
        ("/memory", "no such project"),
        ("/cancel", "no running tasks"),
        ("/new", "Add a description"),
        ("/language", "Which language"),
        ("/users", "don't know this command"),
        ("/allow 5", "don't know this command"),
        ("/nonsense", "don't know this command"),
    ):
        assert part in (await harness.replied(gil, command)).text, command
    assert await harness.screens(gil) == []
    assert harness.deliveries(gil) == []


@pytest.mark.parametrize("role", ["member", "admin"])
async def test_lists_show_the_persons_own_work_only(harness: BotHarness, role: str) -> None:
    """Also for administrators, who can see everything elsewhere."""
    bob = await harness.member(name="Bob")
    bob.say("Make a list of foxes: name")
    foxes = await harness.started(bob)
    await foxes.says("developing")
    ann = await harness.member(name="Ann", role=role)
    empty = {command: (await harness.replied(ann, command)).text for command in LISTS}
    ann.say("Make a list of owls: name")
    owls = await harness.started(ann)
    await owls.says("testing")
    await ann.sees("🔄 Tests")
    for command, nothing in LISTS.items():
        assert nothing in empty[command], command
        shown = await harness.replied(ann, command)
        text = shown.text + "".join(button.text for button in shown.buttons)
        assert "owls" in text, command
        assert "foxes" not in text, command


async def test_the_memory_of_ones_own_project_is_shown_as_text(harness: BotHarness) -> None:
    ira = await harness.member(name="Ira")
    ira.say("Make a list of hats: name")
    hats = await harness.started(ira)
    assert "Nothing yet" in (await harness.replied(ira, "/memory")).text
    project_id = harness.deliveries(ira)[-1].project_id
    line = {"key": "k", "what": "Checks were red", "evidence": "E  <b>no & more</b>"}
    url = f"/internal/projects/{project_id}/memory/failures"
    assert (await harness.api.http.post(url, json=line, headers=harness.api.platform)).status_code == 204
    shown = (await harness.replied(ira, "/memory")).text
    assert "- Checks were red: `E b no & more /b`" in " ".join(shown.split())
    joe = await harness.member(name="Joe")
    assert "no such project" in (await harness.replied(joe, f"/memory {project_id}")).text
    await hats.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})


def with_button(chat: Chat, message: Message, text: str) -> Message | None:
    """The message as it is now, once it has such a button."""
    now = chat.find(message.id)
    return now if now is not None and any(text in button.text for button in now.buttons) else None


async def test_a_cancel_asks_for_confirmation_and_stops_only_its_task(harness: BotHarness) -> None:
    cid = await harness.member(name="Cid")
    deliveries = []
    for number, kind in enumerate(("trams", "buses"), start=1):
        cid.say(f"/new Make a list of {kind}: name")
        deliveries.append(await harness.started(cid, number))
        await deliveries[-1].says("developing")
        await cid.sees(kind, "🔄")
    screen = await cid.sees("buses")

    def cancelled() -> list[str]:
        return [
            found
            for found in harness.api.gateway.cancelled
            if found in {delivery.workflow_id for delivery in deliveries}
        ]

    for button, next_one in (("Stop", "Yes, stop"), ("No, continue", "⏹ Stop"), ("Stop", "Yes, stop")):
        cid.press(screen, button)
        screen = await cid.chat.wait(partial(with_button, message=screen, text=next_one), patience(10))
    assert cancelled() == []
    assert "Stopping" in (await answered(cid.press(screen, "Yes, stop")))["text"]
    assert cancelled() == [deliveries[1].workflow_id]
    await deliveries[1].ends("cancelled")
    stopped = await cid.sees("list-buses: stopped")
    assert stopped.id == screen.id

    offered = await harness.replied(cid, "/cancel")
    assert ["trams" in button.text for button in offered.buttons] == [True]
    assert "Stopping" in (await answered(cid.press(offered, "trams")))["text"]
    assert cancelled() == [deliveries[1].workflow_id, deliveries[0].workflow_id]


async def test_only_its_owner_can_stop_a_task(harness: BotHarness) -> None:
    ann, eve, stranger = await harness.member(name="Ann"), await harness.member(name="Eve"), harness.stranger()
    group = harness.group(ann, eve, stranger)
    harness.telegram.say(ann.id, "/new Make a list of clocks: name", chat_id=group.id)
    delivery = await harness.started(ann)
    await delivery.says("developing")
    screen = await shows(group, "🔄")
    for step in ("ask", "sure", "not"):
        data = CancelData(task=delivery.task_id, step=step).pack()
        assert NOT_YOURS in (await answered(eve.forge(screen, data, chat=group.id)))["text"]
        assert (
            f"Your Telegram ID is {stranger.id}"
            in (await answered(stranger.forge(screen, data, chat=group.id)))["text"]
        )
    assert delivery.workflow_id not in harness.api.gateway.cancelled
    assert group.find(screen.id) == screen, "no other person is asked to confirm"


async def test_people_without_access_learn_their_own_id_only(harness: BotHarness) -> None:
    stranger = harness.stranger("ru", "Чужой")
    for text in ("/start", "/projects", "Сделай блог", "/users", f"/allow {stranger.id}"):
        await harness.replied(stranger, text)
    assert {message.text for message in stranger.screens} == {stranger.screens[0].text}
    assert str(stranger.id) in stranger.screens[0].text
    group = harness.group(stranger)
    harness.telegram.say(stranger.id, "Сделай блог", chat_id=group.id)
    assert "пока нет доступа" in (await harness.replied(stranger, "/start", group)).text
    assert len(group.from_bot) == 1, "what a stranger says in a group is not for the bot"
    assert harness.deliveries(stranger) == []

    admin = await harness.member(name="Admin", role="admin")
    assert "now has access" in (await harness.replied(admin, f"/allow {stranger.id} New")).text
    assert "already has access" in (await harness.replied(admin, f"/allow {stranger.id}")).text
    assert "Add the person's Telegram ID" in (await harness.replied(admin, "/allow me")).text
    assert "Users" in (await harness.replied(admin, "/users")).text
    assert "Проектов пока нет" in (await harness.replied(stranger, "/projects")).text


async def test_the_bot_uses_the_language_that_a_person_chose(harness: BotHarness) -> None:
    yan = await harness.member("ru", "Ян")
    choose = await harness.replied(yan, "/language")
    assert "На каком языке" in choose.text
    assert "Неизвестная кнопка" in (await answered(yan.forge(choose, "l:xx")))["text"]
    yan.press(choose, "English")
    await yan.sees("in English from now on")
    assert "Send me a sentence" in (await harness.replied(yan, "/help")).text
    assert "Nothing is running" in (await harness.replied(yan, "/status")).text
    eve = await harness.member(None, "Eve")
    assert "Send me a sentence" in (await harness.replied(eve, "/help")).text
