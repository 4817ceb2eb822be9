"""Questions in a chat: who may answer, how, and how often."""

import pytest

from bot.rendering.keyboards import AnswerData, CancelData, FailedTaskData
from tests.support.eventually import eventually
from tests.support.people.chat import ChatSystem, ChatUser, answered

pytestmark = pytest.mark.timeout(300)

WISH = "Make a list of books: title, author"
CLOSED = "already been answered"
NOT_YOURS = "belongs to someone else"
FORGED = "don't recognise this button"
ENDED = "already finished"


async def asked(system: ChatSystem, name: str, wish: str) -> ChatUser:
    user = await system.member("en", name)
    user.say(wish)
    await user.sees("❓")
    return user


async def open_question(system: ChatSystem, user: ChatUser) -> dict[str, object]:
    """The person's open question; nothing when there is none."""
    found = (await system.stack.get("/questions", state="open", limit="500"))["items"]
    return next((question for question in found if question["user_id"] == user.id), {})


@pytest.mark.deep
async def test_a_button_answers_once_and_only_for_its_owner(system: ChatSystem) -> None:
    ann = await asked(system, "Ann", f"{WISH} [agent:fail]")
    eve = await system.member("en", "Eve")
    stranger = system.stranger("en", "Mallory")
    screen = await ann.sees("❓")
    data = screen.button("Stop").data or ""
    question = await open_question(system, ann)

    assert NOT_YOURS in (await answered(eve.forge(screen, data, chat=ann.id)))["text"]
    assert f"Your Telegram ID is {stranger.id}" in (await answered(stranger.forge(screen, data, chat=ann.id)))["text"]
    for forged in (
        AnswerData(question=str(question["id"]), choice=17).pack(),
        AnswerData(question=str(question["id"]), choice=-1).pack(),
        "a:x",
        "nonsense",
        "f:dlv-000000000000:again",
    ):
        reply = await answered(ann.forge(screen, forged))
        assert FORGED in reply["text"] or NOT_YOURS in reply["text"], forged
        assert reply["show_alert"]
    planned = AnswerData(question=str(question["id"]), choice=1, plan="deadbeef").pack()
    assert "plan has changed" in (await answered(ann.forge(screen, planned)))["text"]
    assert (await open_question(system, ann))["id"] == question["id"]

    answer = next(button for button in screen.buttons if (button.data or "").startswith("a:") and "Stop" in button.text)
    first = ann.forge(screen, answer.data or "")
    second = ann.forge(screen, answer.data or "")
    texts = {(await answered(first))["text"], (await answered(second))["text"]}
    assert any("continuing" in text for text in texts)
    assert any(CLOSED in text or ENDED in text for text in texts)
    final = await ann.sees("not completed")
    late = (await answered(ann.forge(final, answer.data or "")))["text"]
    assert CLOSED in late or ENDED in late
    assert final.id == screen.id


@pytest.mark.deep
async def test_a_callback_that_is_delivered_again_is_the_same_answer(system: ChatSystem) -> None:
    bob = await asked(system, "Bob", f"{WISH} [agent:fail]")
    screen = await bob.sees("❓")
    first = await open_question(system, bob)
    system.telegram.updates.hold()
    press = bob.press(screen, "Try again")
    update = system.telegram.last_update()
    system.telegram.updates.repeat(update)
    system.telegram.updates.release()
    assert "continuing" in (await answered(press))["text"]

    async def next_one() -> dict[str, object]:
        found = await open_question(system, bob)
        return {} if found.get("id") == first["id"] else found

    second: dict[str, object] = await eventually(next_one, 120, message="the next question")
    await system.bot.kill()
    await system.bot.start()
    system.telegram.updates.repeat(update)
    await system.until(lambda: not system.telegram.updates.pending, message="the press is taken once more")
    assert await open_question(system, bob) == second, "the press answers its own question and no other"
    await stopped(system, bob)


async def stopped(system: ChatSystem, user: ChatUser) -> None:
    """Stop what runs, by the button of the screen, or by the choice that stands in its place."""
    screen = await user.sees_button("Stop")
    cancel = next((button for button in screen.buttons if (button.data or "").startswith("c:")), None)
    if cancel is None:
        user.press(screen, "Stop")
        await user.until(lambda chat: "❌ " in chat.find(screen.id).text, 60)
        return
    user.forge(screen, cancel.data or "")
    sure = await user.sees_button("Yes, stop")
    user.press(sure, "Yes, stop")
    await user.until(lambda chat: "⏹ " in chat.find(sure.id).text, 60)


@pytest.mark.deep
async def test_a_question_is_answered_in_words(system: ChatSystem) -> None:
    cid = await asked(system, "Cid", f"{WISH} [agent:ask]")
    screen = await cid.sees("❓")
    eve = await system.member("en", "Eve")
    eve.say("stop")
    await eve.sees("Accepted")
    cid.say("title, author, year:int", reply_to=screen)
    done = await cid.sees("Ready", timeout=240)
    assert done.id == screen.id
    cid.say("too late", reply_to=done)
    await cid.sees("no open question")
    assert len(await system.tasks_of(cid)) == 1


@pytest.mark.deep
async def test_with_two_open_questions_the_bot_asks_which_one(system: ChatSystem) -> None:
    dan = await asked(system, "Dan", f"{WISH} [agent:fail]")
    dan.say("/new Make a list of towns: name [agent:fail]")
    second = await dan.sees("towns", "❓")
    dan.say("stop")
    await dan.sees("several answers")
    assert len(await system.tasks_of(dan)) == 2
    dan.say("stop", reply_to=second)
    await dan.until(lambda chat: "not completed" in chat.find(second.id).text, 60)
    dan.say("Stop.")
    await dan.until(lambda chat: sum("not completed" in m.text for m in chat.screen) == 2, 60)


@pytest.mark.deep
async def test_a_failed_task_offers_details_and_a_retry(system: ChatSystem) -> None:
    fay = await asked(system, "Fay", f"{WISH} [agent:fail]")
    fay.say("stop")
    failed = await fay.sees("not completed")
    assert "You stopped it" in failed.text
    eve = await system.member("en", "Eve")
    again = failed.button("Try again").data or ""
    assert NOT_YOURS in (await answered(eve.forge(failed, again, chat=fay.id)))["text"]
    fay.press(failed, "Details")
    detailed = await fay.sees("STOPPED_BY_PERSON")
    presses = [fay.forge(detailed, again), fay.forge(detailed, again)]
    assert "Trying again" in (await answered(presses[0]))["text"]
    await answered(presses[1])
    await fay.sees("❓", after=detailed.id)
    assert len(await system.tasks_of(fay)) == 2
    await stopped(system, fay)
    task = (await system.tasks_of(fay))[0]["id"]
    for data in (CancelData(task=task, step="sure").pack(), CancelData(task=task, step="ask").pack()):
        assert ENDED in (await answered(fay.forge(detailed, data)))["text"]
    wrong_message = FailedTaskData(task=task, action="again").pack()
    assert FORGED in (await answered(fay.forge(detailed, wrong_message)))["text"]


@pytest.mark.deep
async def test_people_without_access_learn_their_own_id_only(system: ChatSystem) -> None:
    stranger = system.stranger("ru", "Чужой")
    for text in ("/start", "/projects", "Сделай блог", "/users", "/allow 5"):
        before = len(stranger.screens)
        stranger.say(text)
        await stranger.until(lambda chat, before=before: len(chat.from_bot) > before, 20)
    assert {message.text for message in stranger.screens} == {stranger.screens[0].text}
    assert str(stranger.id) in stranger.screens[0].text
    admin = system.admin()
    admin.say(f"/allow {stranger.id} New")
    await admin.sees(str(stranger.id), "has access")
    stranger.say("/projects")
    await stranger.sees("Проектов пока нет")
    stranger.say("/language")
    choose = await stranger.sees("На каком языке")
    stranger.press(choose, "English")
    await stranger.sees("in English from now on")
    stranger.say("/help")
    await stranger.sees("Send me a sentence")


@pytest.mark.deep
async def test_commands_answer_immediately(system: ChatSystem) -> None:
    gil = await system.member("en", "Gil")
    for command, part in (
        ("/start", "Hello"),
        ("/help", "/projects"),
        ("/projects", "no projects"),
        ("/tasks", "no tasks"),
        ("/status", "Nothing is running"),
        ("/cancel", "no running tasks"),
        ("/new", "Add a description"),
        ("/users", "don't know this command"),
        ("/nonsense", "don't know this command"),
    ):
        last = gil.screens[-1].id if gil.screens else 0
        gil.say(command)
        await gil.sees(part, after=last, timeout=20)
    assert await system.tasks_of(gil) == []
