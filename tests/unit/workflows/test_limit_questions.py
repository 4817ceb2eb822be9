"""What is asked at a limit of a model, what can be answered, and what the next turn is told."""

from datetime import UTC, datetime

import pytest

from bot.rendering import keyboards
from bot.texts import LANGUAGES, texts
from contracts.base import Actor
from contracts.limit_answers import agent_of, model_of, raise_of
from contracts.models import ModelLimit
from contracts.questions import AnswerCommand, OwnQuestion, QuestionDTO
from contracts.states import ActorVia, AgentKind, MemberRole, QuestionKind, Role
from contracts.subjects import Subject
from workflows import rules
from workflows.limits import questions, resuming
from workflows.limits.questions import LimitQuestion
from workflows.limits.resuming import Resumption

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
BUDGET = ModelLimit(kind="budget", scope="task", scope_id="eng-1", spent_usd=0.051, limit_usd=0.05)
WINDOW = ModelLimit(kind="window", account="anthropic", until=NOON, message="limit reached")
CLAUDE, CODEX = AgentKind.CLAUDE_CODE, AgentKind.CODEX

LIMITS: dict[OwnQuestion, LimitQuestion] = {
    OwnQuestion.BUDGET_SPENT: questions.budget(BUDGET, None),
    OwnQuestion.BUDGET_NEARLY_SPENT: questions.budget(BUDGET.model_copy(update={"warning": True}), "small-1"),
    OwnQuestion.USAGE_WINDOW: questions.window(WINDOW, CLAUDE, [CODEX], held=False),
    OwnQuestion.USAGE_WINDOW_HELD: questions.window(WINDOW, CLAUDE, [CODEX], held=True),
    OwnQuestion.MODEL_UNAVAILABLE: questions.unavailable(WINDOW, CLAUDE, []),
    OwnQuestion.MODEL_KEY_REFUSED: questions.key_refused(WINDOW, CLAUDE, []),
    OwnQuestion.MODEL_REQUEST_REFUSED: questions.request_refused(WINDOW, CLAUDE, []),
}


@pytest.mark.parametrize("name", list(LIMITS))
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_can_be_put_in_every_language_with_a_button_for_each_choice(name: OwnQuestion, language: str) -> None:
    asked, said = LIMITS[name], texts("ru" if language == "ru" else "en")
    assert asked.wording.name == name.value
    shown = said.plain(f"question-{name.value}", **asked.wording.fields)
    assert all(value in shown for field, value in asked.wording.fields.items() if field != "scope")
    labels = [keyboards.choice_label(said, choice) for choice in asked.choices]
    assert all(label != choice or choice.startswith("+") for label, choice in zip(labels, asked.choices, strict=True))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scope", ["turn", "task", "project", "month", "everybody"])
def test_whose_budget_it_is_is_said_in_words(scope: str, language: str) -> None:
    said, fields = texts("ru" if language == "ru" else "en"), {"spent": "$1", "limit": "$2", "scope": scope}
    shown = said.plain("question-budget-spent", **fields)
    others = {
        other: said.plain("question-budget-spent", **{**fields, "scope": other})
        for other in ("turn", "month", "everybody")
    }
    assert all(shown != text for other, text in others.items() if other != scope)


@pytest.mark.parametrize(
    ("limit_usd", "offered"),
    [(0.05, "+0.05 USD"), (0.5, "+0.5 USD"), (1.0, "+1 USD"), (5.0, "+5 USD"), (12.4, "+12 USD")],
)
def test_as_much_again_is_offered(limit_usd: float, offered: str) -> None:
    assert questions.budget(BUDGET.model_copy(update={"limit_usd": limit_usd}), None).choices[0] == offered
    assert raise_of(offered)


def test_the_budget_of_a_turn_is_not_raised_because_the_next_turn_has_its_own() -> None:
    asked = questions.budget(BUDGET.model_copy(update={"scope": "turn"}), "small-1")
    assert asked.choices == ["cheaper", "continue", "stop"]


def test_a_cheaper_model_does_not_help_when_everything_is_spent() -> None:
    assert questions.budget(BUDGET, "small-1").choices == ["+0.05 USD", "stop"]


@pytest.mark.parametrize("text", ["+5", "+$5", " + 5 $ ", "+5.00", "+5 usd"])
def test_an_amount_is_read_as_people_write_it(text: str) -> None:
    assert raise_of(text) == 5


@pytest.mark.parametrize("text", ["5", "+", "+0", "+-5", "+5 and stop", "+10001", "+1e9", "+٥", "stop"])
def test_what_is_no_amount_raises_nothing(text: str) -> None:
    assert raise_of(text) is None


def test_models_and_agents_are_named_in_words() -> None:
    assert (model_of("model Some-Model_1"), model_of("some-model")) == ("Some-Model_1", None)
    assert (agent_of("agent codex"), agent_of("Codex"), agent_of("gpt")) == (CODEX, CODEX, None)


def refusal(asked: LimitQuestion, text: str, **actor: object) -> tuple[str, str] | None:
    question = QuestionDTO(
        id="q-1", workflow_id="w", task_id="t", subject=Subject.project("p-1"), user_id=1001,
        kind=QuestionKind.BUDGET, text=asked.text, choices=asked.choices, wording=asked.wording,
    )  # fmt: skip
    who = Actor.model_validate({"user_id": 1001, "role": Role.MEMBER, "via": ActorVia.CLI} | actor)
    command = AnswerCommand(question_id="q-1", actor=who, member_role=MemberRole.OWNER, text=text)
    return rules.refusal(question, {"q-1"}, command)


@pytest.mark.parametrize("text", ["+0.05 USD", "+$0.05", "+12", "STOP", "model a-1", "agent codex"])
def test_an_owner_may_answer_with_a_choice_or_a_value_of_their_own(text: str) -> None:
    assert refusal(LIMITS[OwnQuestion.BUDGET_SPENT], text) is None


def test_an_amount_is_no_answer_to_another_question() -> None:
    assert refusal(LIMITS[OwnQuestion.USAGE_WINDOW], "+5") is not None
    assert refusal(LIMITS[OwnQuestion.USAGE_WINDOW], "hold") is None


def test_agents_never_decide_about_money() -> None:
    assert refusal(LIMITS[OwnQuestion.BUDGET_SPENT], "+1", role=Role.AGENT) is not None


STATE = {"limit": {"kind": "budget"}, "turn_status": "failed", "prompt": "Build it.", "summary": "Half of it is there."}


def after(state: dict[str, object], **changes: object) -> dict[str, object]:
    resumption = Resumption.model_validate({"agent": CLAUDE, "before": CLAUDE, "why": "no more"} | changes)
    return resuming.after_parking(state, resumption.model_dump(mode="json"))


def test_interruptions_do_not_pile_up_in_the_message() -> None:
    once = after(dict(STATE))
    twice = after({**STATE, **once, "limit": STATE["limit"]})
    assert once["prompt"] == twice["prompt"]
    assert str(once["prompt"]).endswith("Build it.")


def test_a_warning_changes_nothing_in_the_message() -> None:
    assert after({**STATE, "turn_status": "done"})["prompt"] == "Build it."


def test_another_agent_is_told_what_was_said_and_that_it_has_no_conversation() -> None:
    told = str(after(dict(STATE), agent=CODEX, fresh=True)["prompt"])
    for words in ("claude-code worked on this", "Half of it is there.", "do not have its conversation", "Build it."):
        assert words in told


def test_a_failed_turn_is_parked_only_for_a_limit() -> None:
    assert resuming.parks_now(dict(STATE))
    assert not resuming.parks_now({"turn_status": "failed", "limit": None})
    assert not resuming.parks_now({**STATE, "turn_status": "done"})
