"""What a plain text means that is no reply. Above all, a secret is never taken for anything else."""

from datetime import timedelta

import pytest

from bot.conversation import answers, meaning
from contracts.base import utc_now
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind, QuestionState
from contracts.subjects import Subject

KEY, OTHER = "PAYMENT_KEY", "MAIL_KEY"


def question(
    id: str,
    kind: QuestionKind = QuestionKind.CLARIFICATION,
    *,
    names: tuple[str, ...] = (),
    closed_min: float | None = None,
    choices: tuple[str, ...] = (),
) -> QuestionDTO:
    closed = None if closed_min is None else utc_now() - timedelta(minutes=closed_min)
    return QuestionDTO(
        id=id, task_id="eng-1", workflow_id="engineering/eng-1", subject=Subject.project("p"), user_id=7, kind=kind,
        text="?",
        choices=list(choices), secret_names=list(names), closed_at=closed,
        state=QuestionState.OPEN if closed is None else QuestionState.ANSWERED,
    )  # fmt: skip


def secret(id: str, *names: str, closed_min: float | None = None) -> QuestionDTO:
    return question(id, QuestionKind.SECRET, names=names or (KEY,), closed_min=closed_min)


WORDS = question("words")
CHOICE = question("choice", choices=("stop", "retry"))

HERE = [
    ("a list of books", [], "wish"),
    ("title and text", [WORDS], "words"),
    ("sk-1234567890", [secret("s")], "s"),
    ("sk-1234567890", [secret("s", closed_min=1)], "late-secret"),
    ("sk-1234567890", [secret("s", closed_min=16)], "wish"),
    ("sk-1234567890", [secret("s", closed_min=1), WORDS], "late-secret"),
    ("sk-1234567890", [secret("s", closed_min=16), WORDS], "words"),
    ("stop", [secret("s", closed_min=1), CHOICE], "choice"),
    ("sk-1234567890", [secret("s"), WORDS], "which-secret"),
    ("title and text", [WORDS, CHOICE], "which"),
    (f"{KEY}=sk-1", [secret("s"), WORDS], "s"),
    (f"{OTHER}=sk-1", [secret("s"), secret("t", OTHER)], "t"),
    (f"{KEY}=sk-1", [secret("s"), secret("t")], "which-secret"),
]


@pytest.mark.parametrize(("text", "here", "subject"), HERE)
def test_meaning_with_questions_of_this_chat(text: str, here: list[QuestionDTO], subject: str) -> None:
    assert meaning._of_text(text, here, []).subject == subject


ELSEWHERE = [
    (f"{KEY}=sk-1", [], [secret("s")], "s"),
    (f"{KEY}=sk-1", [WORDS], [secret("s")], "s"),
    (f"{KEY}=sk-1", [], [secret("s", closed_min=1)], "late-secret"),
    ("sk-1234567890", [], [secret("s")], "secret-unnamed"),
    (f"the {KEY} is sk-1", [], [secret("s")], "secret-unnamed"),
    ("a list of books", [], [secret("s")], "wish"),
    ("title", [WORDS], [secret("s")], "words"),
    ("sk-1234567890", [], [secret("s", closed_min=1)], "wish"),
]


@pytest.mark.parametrize(("text", "here", "elsewhere", "subject"), ELSEWHERE)
def test_meaning_while_a_group_is_asked_for_a_secret(
    text: str, here: list[QuestionDTO], elsewhere: list[QuestionDTO], subject: str
) -> None:
    assert meaning._of_text(text, here, elsewhere).subject == subject


MEANT = [
    (("C", "C++", "C#"), "C++", "C++"),
    (("C", "C++", "C#"), "c#", "C#"),
    (("C", "C++", "C#"), "C!", "C!"),
    (("👍", "👎"), "👎", "👎"),
    (("👍", "👎"), "!", "!"),
    (("+5 %", "-5 %"), "-5 %", "-5 %"),
    (("stop", "retry"), "Stop.", "stop"),
    (("stop", "retry"), "остановить", "stop"),
    (("stop", "retry"), "something else", "something else"),
]


@pytest.mark.parametrize(("choices", "said", "meant"), MEANT)
def test_a_choice_in_words_is_the_one_that_was_named(choices: tuple[str, ...], said: str, meant: str) -> None:
    assert answers._resolve_choice(question("q", choices=choices), said) == meant
