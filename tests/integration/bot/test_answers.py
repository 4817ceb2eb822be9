"""Questions in a chat: each is answered once, by a person who may answer it."""

import pytest

from bot.rendering.keyboards import AnswerData
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from tests.integration.bot.harness import BotHarness
from tests.support.people.chat import answered, shows

pytestmark = pytest.mark.timeout(40)

NOT_YOURS = "belongs to someone else"
FORGED = "don't recognise this button"
CHOICES = ["retry", "stop"]


async def test_a_button_answers_once_in_the_persons_name(harness: BotHarness) -> None:
    bob = await harness.member(name="Bob")
    delivery = await harness.asked(bob, choices=CHOICES)
    harness.telegram.updates.hold()
    press = bob.press(await bob.sees("❓"), "Try again")
    update = harness.telegram.last_update()
    harness.telegram.updates.repeat(update)
    harness.telegram.updates.release()
    assert "continuing" in (await answered(press))["text"]
    await harness.restart_bot()
    harness.telegram.updates.repeat(update)
    await harness.settled(bob)
    [(command, answer_id)] = delivery.answers
    assert (command.question_id, command.text, answer_id) == (delivery.question["id"], "retry", press.id)
    assert command.actor.model_dump() == {"user_id": bob.id, "role": "member", "via": "telegram"}


async def test_buttons_are_refused_for_others_and_for_forged_data(harness: BotHarness) -> None:
    ann, eve, stranger = await harness.member(name="Ann"), await harness.member(name="Eve"), harness.stranger()
    delivery = await harness.asked(ann, choices=CHOICES)
    screen = await ann.sees("❓")
    real = screen.button("Try again").data or ""
    assert NOT_YOURS in (await answered(eve.forge(screen, real, chat=ann.id)))["text"]
    assert f"Your Telegram ID is {stranger.id}" in (await answered(stranger.forge(screen, real, chat=ann.id)))["text"]
    question = str(delivery.question["id"])
    for data, refusal in (
        (AnswerData(question=question, choice=17).pack(), FORGED),
        (AnswerData(question=question, choice=-1).pack(), FORGED),
        (AnswerData(question=question, choice=0, plan="deadbeef").pack(), "plan has changed"),
        (AnswerData(question="q-of-nobody", choice=0).pack(), NOT_YOURS),
        (f"a:{question}:x:", FORGED),
        ("c:dlv-000000000000:sure", NOT_YOURS),
        (f"c:{delivery.task_id}:now", FORGED),
        ("f:dlv-000000000000:again", NOT_YOURS),
        ("l:ru", FORGED),
        ("nonsense", FORGED),
    ):
        reply = await answered(ann.forge(screen, data))
        assert refusal in reply["text"], data
        assert reply["show_alert"], data
    assert delivery.answers == []
    assert len(harness.deliveries(ann)) == 1
    assert ann.chat.find(screen.id) == screen


async def test_a_closed_question_takes_no_more_answers(harness: BotHarness) -> None:
    cid = await harness.member(name="Cid")
    delivery = await harness.asked(cid, choices=CHOICES)
    screen = await cid.sees("❓")
    first, second = cid.press(screen, "Try again"), cid.press(screen, "⏹")
    assert "continuing" in (await answered(first))["text"]
    stop = AnswerData(question=str(delivery.question["id"]), choice=1).pack()
    assert "the first answer counts" in (await answered(cid.forge(screen, stop)))["text"]
    await answered(second)
    await delivery.closes_question()
    await cid.sees("🔄")
    assert "the first answer counts" in (await answered(cid.forge(screen, stop)))["text"]
    assert [command.text for command, _ in delivery.answers] == ["retry"]


async def test_a_refused_answer_is_explained_and_can_be_repeated(harness: BotHarness) -> None:
    dan = await harness.member(name="Dan")
    delivery = await harness.asked(dan, choices=CHOICES)
    screen = await dan.sees("❓")
    for code, text in (
        (ErrorCode.WORKFLOW_NOT_RUNNING, "already finished"),
        (ErrorCode.WORKFLOW_BUSY, "No worker is available right now"),
        (ErrorCode.QUESTION_WRONG_CHOICE, "not one of the options"),
    ):
        harness.api.gateway.refusal = OrchestratorError(code, "no", error_class=ErrorClass.PERMANENT)
        try:
            assert text in (await answered(dan.press(screen, "Try again")))["text"]
            assert text in (await harness.replied(dan, "retry")).text
        finally:
            harness.api.gateway.refusal = None
    assert "continuing" in (await answered(dan.press(screen, "Try again")))["text"]
    assert [command.text for command, _ in delivery.answers] == ["retry"]


@pytest.mark.parametrize(
    ("choices", "said", "meant"), [(CHOICES, "Try again.", "retry"), ([], " a, <b>:int ", "a, <b>:int")]
)
async def test_an_answer_in_words_is_submitted_once(
    harness: BotHarness, choices: list[str], said: str, meant: str
) -> None:
    eve = await harness.member(name="Eve")
    delivery = await harness.asked(eve, choices=choices)
    harness.telegram.updates.hold()
    eve.say(said)
    update = harness.telegram.last_update()
    harness.telegram.updates.repeat(update)
    harness.telegram.updates.release()
    await harness.settled(eve)
    await delivery.closes_question()
    await eve.until(lambda chat: not any("❓" in message.text for message in chat.from_bot))
    await harness.restart_bot()
    harness.telegram.updates.repeat(update)
    await harness.settled(eve)
    [(command, answer_id)] = delivery.answers
    assert (command.text, command.actor.user_id) == (meant, eve.id)
    assert str(update["update_id"]) in answer_id
    assert len(await harness.screens(eve)) == 1, "an answer is no wish, however often it comes"


async def test_with_two_open_questions_the_bot_asks_which_one(harness: BotHarness) -> None:
    fay = await harness.member(name="Fay")
    first = await harness.asked(fay, "Make a list of books", choices=CHOICES)
    second = await harness.asked(fay, "Make a list of towns", choices=CHOICES)
    assert "several answers" in (await harness.replied(fay, "retry")).text
    assert (first.answers, second.answers) == ([], [])
    fay.say("retry", reply_to=await fay.sees("towns", "❓"))
    await harness.settled(fay)
    assert (first.answers, [command.text for command, _ in second.answers]) == ([], ["retry"])
    await second.closes_question()
    fay.say("stop")
    await harness.settled(fay)
    assert [command.text for command, _ in first.answers] == ["stop"]
    assert len(second.answers) == 1
    assert len(await harness.screens(fay)) == 2


async def test_an_approval_is_for_the_plan_that_was_shown(harness: BotHarness) -> None:
    gil = await harness.member(name="Gil")
    delivery = await harness.asked(gil, kind="approval", choices=["approve", "stop"], plan_hash="a" * 40)
    screen = await gil.sees("Deploy this version", "a" * 12)
    old = screen.button("Approve").data or ""
    await delivery.asks(plan_hash="b" * 40)
    newer = await gil.sees("Deploy this version", "b" * 12)
    assert "plan has changed" in (await answered(gil.forge(newer, old)))["text"]
    assert delivery.answers == []
    assert "continuing" in (await answered(gil.press(newer, "Approve")))["text"]
    [(command, _)] = delivery.answers
    assert (command.text, command.plan_hash) == ("approve", "b" * 40)


async def test_in_a_group_only_commands_buttons_and_replies_of_the_owner_count(harness: BotHarness) -> None:
    ann, bob = await harness.member(name="Ann"), await harness.member(name="Bob")
    group = harness.group(ann, bob)
    say = harness.telegram.say
    say(ann.id, "Make a list of lakes", chat_id=group.id)
    say(ann.id, "/new Make a list of rivers", chat_id=group.id)
    delivery = await harness.started(ann)
    assert "rivers" in delivery.message.spec.description
    await delivery.asks("Which rivers?", choices=["long", "short"])
    screen = await shows(group, "❓ Which rivers?")
    say(ann.id, "long", chat_id=group.id)
    say(bob.id, "short", chat_id=group.id, reply_to=screen.id)
    await shows(group, NOT_YOURS)
    assert NOT_YOURS in (await answered(bob.forge(screen, screen.button("short").data or "", chat=group.id)))["text"]
    assert delivery.answers == []
    say(ann.id, "long", chat_id=group.id, reply_to=screen.id)
    await harness.settled(ann, group)
    assert [(command.text, command.actor.user_id) for command, _ in delivery.answers] == [("long", ann.id)]
    assert (len(harness.deliveries(ann)), harness.deliveries(bob)) == (1, [])
