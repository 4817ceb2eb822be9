"""Questions in a chat: an answer is given once, to its own question, by whoever may answer it."""

import pytest

from bot.keyboards import AnswerData
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from tests.integration.bot.village import Village
from tests.support.chat import answered, shows

pytestmark = pytest.mark.timeout(40)

NOT_YOURS = "belongs to somebody else"
FORGED = "do not know this button"
CHOICES = ["retry", "stop"]


async def test_an_answer_by_button_is_given_once_with_the_persons_rights(village: Village) -> None:
    bob = await village.member(name="Bob")
    work = await village.asked(bob, choices=CHOICES)
    village.telegram.updates.hold()
    press = bob.press(await bob.sees("❓"), "Try again")
    update = village.telegram.last_update()
    village.telegram.updates.repeat(update)
    village.telegram.updates.release()
    assert "the work goes on" in (await answered(press))["text"]
    await village.restart_bot()
    village.telegram.updates.repeat(update)
    await village.settled(bob)
    [(command, answer_id)] = work.answers
    assert (command.question_id, command.text, answer_id) == (work.question["id"], "retry", press.id)
    assert command.actor.model_dump() == {"user_id": bob.id, "role": "member", "via": "telegram"}


async def test_buttons_are_refused_for_others_and_for_data_that_no_button_has(village: Village) -> None:
    ann, eve, stranger = await village.member(name="Ann"), await village.member(name="Eve"), village.stranger()
    work = await village.asked(ann, choices=CHOICES)
    screen = await ann.sees("❓")
    real = screen.button("Try again").data or ""
    assert NOT_YOURS in (await answered(eve.forge(screen, real, chat=ann.id)))["text"]
    assert f"Your id is {stranger.id}" in (await answered(stranger.forge(screen, real, chat=ann.id)))["text"]
    question = str(work.question["id"])
    for data, refusal in (
        (AnswerData(question=question, choice=17).pack(), FORGED),
        (AnswerData(question=question, choice=-1).pack(), FORGED),
        (AnswerData(question=question, choice=0, plan="deadbeef").pack(), "plan has changed"),
        (AnswerData(question="q-of-nobody", choice=0).pack(), NOT_YOURS),
        (f"a:{question}:x:", FORGED),
        ("c:dlv-000000000000:sure", NOT_YOURS),
        (f"c:{work.task_id}:now", FORGED),
        ("f:dlv-000000000000:again", NOT_YOURS),
        ("l:ru", FORGED),
        ("nonsense", FORGED),
    ):
        reply = await answered(ann.forge(screen, data))
        assert refusal in reply["text"], data
        assert reply["show_alert"], data
    assert work.answers == []
    assert len(village.deliveries(ann)) == 1
    assert ann.chat.find(screen.id) == screen


async def test_a_question_that_is_closed_takes_nothing_more(village: Village) -> None:
    cid = await village.member(name="Cid")
    work = await village.asked(cid, choices=CHOICES)
    screen = await cid.sees("❓")
    first, second = cid.press(screen, "Try again"), cid.press(screen, "⏹")
    assert "the work goes on" in (await answered(first))["text"]
    stop = AnswerData(question=str(work.question["id"]), choice=1).pack()
    assert "the first answer counts" in (await answered(cid.forge(screen, stop)))["text"]
    await answered(second)
    await work.goes_on()
    await cid.sees("🔄")
    assert "the first answer counts" in (await answered(cid.forge(screen, stop)))["text"]
    assert [command.text for command, _ in work.answers] == ["retry"]


async def test_what_the_workflow_refuses_is_said_and_may_be_tried_again(village: Village) -> None:
    dan = await village.member(name="Dan")
    work = await village.asked(dan, choices=CHOICES)
    screen = await dan.sees("❓")
    for code, text in (
        (ErrorCode.WORKFLOW_NOT_RUNNING, "has ended already"),
        (ErrorCode.WORKFLOW_BUSY, "Nobody is there to take it right now"),
        (ErrorCode.QUESTION_WRONG_CHOICE, "not one of the possible answers"),
    ):
        village.api.gateway.refusal = OrchestratorError(code, "no", error_class=ErrorClass.PERMANENT)
        try:
            assert text in (await answered(dan.press(screen, "Try again")))["text"]
            assert text in (await village.replied(dan, "retry")).text
        finally:
            village.api.gateway.refusal = None
    assert "the work goes on" in (await answered(dan.press(screen, "Try again")))["text"]
    assert [command.text for command, _ in work.answers] == ["retry"]


@pytest.mark.parametrize(
    ("choices", "said", "meant"), [(CHOICES, "Try again.", "retry"), ([], " a, <b>:int ", "a, <b>:int")]
)
async def test_an_answer_in_words_is_given_once(village: Village, choices: list[str], said: str, meant: str) -> None:
    eve = await village.member(name="Eve")
    work = await village.asked(eve, choices=choices)
    village.telegram.updates.hold()
    eve.say(said)
    update = village.telegram.last_update()
    village.telegram.updates.repeat(update)
    village.telegram.updates.release()
    await village.settled(eve)
    await work.goes_on()
    await eve.until(lambda chat: not any("❓" in message.text for message in chat.from_bot))
    await village.restart_bot()
    village.telegram.updates.repeat(update)
    await village.settled(eve)
    [(command, answer_id)] = work.answers
    assert (command.text, command.actor.user_id) == (meant, eve.id)
    assert str(update["update_id"]) in answer_id
    assert len(await village.screens(eve)) == 1, "an answer is no wish, however often it comes"


async def test_of_two_open_questions_none_is_guessed_at(village: Village) -> None:
    fay = await village.member(name="Fay")
    first = await village.asked(fay, "Make a list of books", choices=CHOICES)
    second = await village.asked(fay, "Make a list of towns", choices=CHOICES)
    assert "several answers" in (await village.replied(fay, "retry")).text
    assert (first.answers, second.answers) == ([], [])
    fay.say("retry", reply_to=await fay.sees("towns", "❓"))
    await village.settled(fay)
    assert (first.answers, [command.text for command, _ in second.answers]) == ([], ["retry"])
    await second.goes_on()
    fay.say("stop")
    await village.settled(fay)
    assert [command.text for command, _ in first.answers] == ["stop"]
    assert len(second.answers) == 1
    assert len(await village.screens(fay)) == 2


async def test_an_approval_is_for_the_plan_that_was_shown(village: Village) -> None:
    gil = await village.member(name="Gil")
    work = await village.asked(gil, kind="approval", choices=["approve", "stop"], plan_hash="a" * 40)
    screen = await gil.sees("Deploy this version", "a" * 12)
    old = screen.button("Approve").data or ""
    await work.asks(plan_hash="b" * 40)
    newer = await gil.sees("Deploy this version", "b" * 12)
    assert "plan has changed" in (await answered(gil.forge(newer, old)))["text"]
    assert work.answers == []
    assert "the work goes on" in (await answered(gil.press(newer, "Approve")))["text"]
    [(command, _)] = work.answers
    assert (command.text, command.plan_hash) == ("approve", "b" * 40)


async def test_in_a_group_only_commands_buttons_and_replies_of_the_owner_count(village: Village) -> None:
    ann, bob = await village.member(name="Ann"), await village.member(name="Bob")
    group = village.group(ann, bob)
    say = village.telegram.say
    say(ann.id, "Make a list of lakes", chat_id=group.id)
    say(ann.id, "/new Make a list of rivers", chat_id=group.id)
    work = await village.begun(ann)
    assert "rivers" in work.message.spec.description
    await work.asks("Which rivers?", choices=["long", "short"])
    screen = await shows(group, "❓ Which rivers?")
    say(ann.id, "long", chat_id=group.id)
    say(bob.id, "short", chat_id=group.id, reply_to=screen.id)
    await shows(group, NOT_YOURS)
    assert NOT_YOURS in (await answered(bob.forge(screen, screen.button("short").data or "", chat=group.id)))["text"]
    assert work.answers == []
    say(ann.id, "long", chat_id=group.id, reply_to=screen.id)
    await village.settled(ann, group)
    assert [(command.text, command.actor.user_id) for command, _ in work.answers] == [("long", ann.id)]
    assert (len(village.deliveries(ann)), village.deliveries(bob)) == (1, [])
