"""What a plain text means that is no reply. Above all, a secret is never taken for anything else."""

from datetime import timedelta

import pytest

from bot.conversation import answers, meaning
from contracts.base import utc_now
from contracts.questions import QuestionDTO, QuestionWording
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


NEW = [
    "Could you build me a bot", "We need a tracker of habits", "I'd like a shop", "Let's build a new one",
    "Bot that says hi", "Please give me a site about cats", "Another project: a library",
    "A chat bot which answers /hi", "New bot with jokes",
    "Нам нужен сервис заметок", "Давай сделаем бота", "Можешь сделать магазин?", "Хотелось бы магазин", "Ещё один бот",
    "А ещё сделай бота", "Телеграм-бот, который отвечает", "Учёт машин: марка", "Каталог растений с полями имя",
    "Требуется сервис", "Новый проект: библиотека",
]  # fmt: skip
ANSWERS = [
    "title, text", "add a title", "retry, but with a title", "call it Books", "use the name notes", "no",
    "the second one", "name and price please", "5", "yes, with pictures", "Нет, назови Книги", "название и текст",
    "второй", "без картинок",
]  # fmt: skip


@pytest.mark.parametrize("text", NEW)
def test_what_begins_as_a_description_is_no_answer_yet(text: str) -> None:
    for asked in (WORDS, CHOICE, question("plan", QuestionKind.APPROVAL, choices=("approve", "stop"))):
        assert meaning._of_text(text, [asked], []).subject == meaning.DOUBT


@pytest.mark.parametrize("text", ANSWERS)
def test_what_begins_as_an_answer_is_one(text: str) -> None:
    assert meaning._of_text(text, [WORDS], []).subject == "words"
    assert meaning._of_text(text, [CHOICE], []).subject == "choice"


def test_a_list_of_fields_answers_what_to_build_and_nothing_else() -> None:
    plan = question("plan", QuestionKind.APPROVAL, choices=("approve", "stop"))
    assert meaning._of_text("Books: title", [WORDS], []).subject == "words"
    assert meaning._of_text("Books: title", [plan], []).subject == meaning.DOUBT


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
    own = QuestionWording(name="still-red") if "stop" in choices else None
    asked = question("q", choices=choices).model_copy(update={"wording": own})
    assert answers._resolve_choice(asked, said) == meant


def test_what_the_platform_calls_its_own_choice_is_no_name_for_one_of_an_agent() -> None:
    assert answers._resolve_choice(question("q", choices=("stop", "retry")), "остановить") == "остановить"
