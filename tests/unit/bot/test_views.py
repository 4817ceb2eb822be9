"""Views, progress, callback data, choices, typed secrets, names of projects."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.conversation import answers, typed_secrets
from bot.rendering import keyboards, views
from bot.rendering.keyboards import AnswerData, CancelData, FailedTaskData
from bot.rendering.progress import Progress
from bot.rendering.views import RunningTask
from bot.tasks import naming
from bot.texts import LANGUAGES, texts
from contracts.chat import ChatScreenDTO
from contracts.ids import kind_of_task
from contracts.nouns import TaskDTO
from contracts.progress import ProgressEvent, StreamedEvent
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind, Stage, TaskKind, TaskState
from contracts.subjects import Subject
from contracts.suite_figures import SuiteFigures
from emulators.telegram import html

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TASK = "dlv-0123456789ab"
SUBJECT = Subject.project("p")


def screen(**fields: Any) -> ChatScreenDTO:
    base = {"id": "tg-1-2", "bot_id": 1, "chat_id": 5, "user_id": 5, "language": "en", "wish": "Make <a> & b"}
    return ChatScreenDTO.model_validate({**base, "created_at": NOW, "updated_at": NOW, "task_id": TASK, **fields})


def question(**fields: Any) -> QuestionDTO:
    base = {"id": "q-eng-0123456789ab-1", "workflow_id": "w", "task_id": "eng-0123456789ab", "subject": SUBJECT}
    full = {**base, "user_id": 5, "kind": "clarification", "text": "Which <fields>?", "choices": ["retry", "stop"]}
    return QuestionDTO.model_validate({**full, **fields})


def task(state: TaskState, **fields: Any) -> TaskDTO:
    base = {"id": TASK, "kind": TaskKind.DELIVERY, "subject": SUBJECT, "user_id": 5, "workflow_id": "w"}
    return TaskDTO.model_validate({**base, "state": state, "created_at": NOW, "updated_at": NOW, **fields})


def event(task_id: str, step: str, percent: int | None = None, grain: str = "milestone") -> StreamedEvent:
    told = ProgressEvent(type="progress", request_id="r", current_step=step, progress_pct=percent)
    of_task = {"task_id": task_id, "kind": kind_of_task(task_id), "subject": SUBJECT}
    return StreamedEvent.model_validate({"seq": 1, "grain": grain, "event": told, "percent": percent, **of_task})


def test_progress_follows_the_steps_below_and_never_goes_back() -> None:
    progress = Progress(TASK)
    assert not progress.apply(event(TASK, "engineering", None))
    assert progress.apply(event("eng-0123456789ab", "testing", 40))
    assert (progress.step, progress.percent) == ("testing", 40)
    progress.apply(event("eng-0123456789ab", "developing", 24))
    assert (progress.step, progress.percent) == ("developing", 40)
    progress.apply(event("dep-0123456789ab", "probing", 92))
    assert (progress.step, progress.percent) == ("deploy", 92)
    assert not progress.apply(event("dep-0123456789ab", "deploying", None, grain="fine"))


def test_milestones_between_steps_do_not_change_the_step() -> None:
    progress = Progress(TASK)
    progress.apply(event("eng-0123456789ab", "publishing", 85))
    assert not progress.apply(event("eng-0123456789ab", "completed"))
    progress.apply(event("eng-0123456789ab", "waiting"))
    assert progress.step == "publishing"
    ended = StreamedEvent.model_validate(
        {**event(TASK, "completed", 100).model_dump(), "event": {"type": "completed", "request_id": "r"}}
    )
    assert progress.apply(ended)
    shown = views.running(texts("en"), RunningTask(screen(), "p", progress))
    assert shown.text.count("✅") == 5


def test_a_question_of_the_platform_is_put_in_the_language_of_the_person() -> None:
    wording = {"name": "still-red", "fields": {"evidence": "E   assert <1>", "rounds": "3"}}
    asked = question(text="The project's checks are still red, after 3 rounds: …", wording=wording)
    shown = views.running(texts("ru"), RunningTask(screen(language="ru"), "p", Progress(TASK), asked))
    assert "Проверки проекта не проходят" in shown.text
    assert "E   assert &lt;1&gt;" in shown.text
    assert "checks" not in shown.text
    # One that this bot does not know yet is shown as it is.
    unknown = question(text="What now?", wording={"name": "of-a-later-version"})
    assert "What now?" in views.running(texts("ru"), RunningTask(screen(), "p", Progress(TASK), unknown)).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_view_is_valid_html_and_fits_one_message(language: str) -> None:
    said = texts(language)
    long = screen(wish="<ж>&" * 2_000)
    ask = question(text="<x>" * 5_000)
    secret = question(kind=QuestionKind.SECRET, secret_names=["A_KEY"])
    approval = question(kind=QuestionKind.APPROVAL, plan_hash="a" * 40, choices=["approve", "stop"])
    at_probing = Progress(TASK, Stage.PROBING, 5)
    shown = [
        views.accepted(said, long),
        views.refused(said, long, "INVALID_INPUT"),
        *[
            views.running(said, RunningTask(long, "p", at_probing, asked, stalled=("agents", "10:00")))
            for asked in (None, ask, secret, approval)
        ],
        views.final(said, long, "p", task(TaskState.COMPLETED, result={"deployed_url": "http://x"}), Stage.COMPLETED),
        views.final(said, long, "p", task(TaskState.CANCELLED), Stage.PROBING),
        views.final(
            said, long, "p", task(TaskState.FAILED, error_code="X", error="<" * 4_000), Stage.TESTING, details=True
        ),
    ]
    for view in shown:
        assert len(html.parse(view.text)[0]) <= 4096


@pytest.mark.parametrize(("language", "title"), [("en", "Not built:"), ("ru", "Не сделано:")])
def test_the_end_names_what_was_not_built_in_the_persons_words(language: Any, title: str) -> None:
    def criterion(number: int, **fields: Any) -> dict[str, Any]:
        return {"id": f"w{number}", "sentence": "s", "words": f"<clause> {number}", "state": "not_met", **fields}

    few = [criterion(1), criterion(2, state="open")]
    done = task(TaskState.COMPLETED, result={"deployed_url": "http://x"}, criteria=few)
    view = views.final(texts(language), screen(), "p", done, Stage.COMPLETED)
    assert view.text.endswith(f"<b>{title}</b>\n• &lt;clause&gt; 1")
    many = done.model_copy(
        update={"criteria": task(TaskState.COMPLETED, criteria=[criterion(n) for n in range(50)]).criteria}
    )
    shown = views.final(texts(language), screen(), "p", many, Stage.COMPLETED).text
    assert f"orchestrator task show {TASK}" in shown
    assert len(html.parse(shown)[0]) <= 4096
    nothing = done.model_copy(update={"criteria": []})
    assert title not in views.final(texts(language), screen(), "p", nothing, Stage.COMPLETED).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_reviewer_says_is_shown_as_text_and_fits(language: Any) -> None:
    said = "Read by codex: one thing.\n- blocker: app.py:3: <b>a & b</b>\n" + "- remark: x\n" * 400
    view = views.final(texts(language), screen(), "p", task(TaskState.COMPLETED, result={"review": said}), Stage.DEPLOY)
    shown = html.parse(view.text)[0]
    assert "<b>a & b</b>" in shown
    assert len(shown) < 4096
    title = html.parse(texts(language)("reviewed", review="x"))[0].split("\n")[0]
    assert title in shown
    assert title not in views.final(texts(language), screen(), "p", task(TaskState.COMPLETED), Stage.DEPLOY).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_figures_of_the_tests_are_shown_as_far_as_they_are_known(language: Any) -> None:
    def shown(**figures: int) -> str:
        done = task(TaskState.COMPLETED, result=SuiteFigures(**figures).in_result())
        return html.parse(views.final(texts(language), screen(), "p", done, Stage.DEPLOY).text)[0]

    both = shown(executed=42, lines_covered_permille=879)
    assert "42" in both
    assert "87 %" in both
    assert "42" in shown(executed=42)
    assert "%" not in shown(executed=42)
    assert "87 %" in shown(lines_covered_permille=879)
    assert "🧪" not in shown()


def test_no_two_buttons_of_a_question_say_the_same() -> None:
    long = "A very long choice that goes on and on until nobody reads it any more"
    choices = ["retry", "retry", "stop", f"{long} one", f"{long} two"]
    asked = question(choices=choices, wording={"name": "still-red"})
    rows = keyboards.for_question(texts("en"), asked, TASK).inline_keyboard
    assert len({button.text for row in rows for button in row}) == len(rows) == 4
    assert [AnswerData.unpack(row[0].callback_data or "").choice for row in rows] == [0, 2, 3, 4]
    without = keyboards.for_question(texts("en"), question(choices=["a"]), TASK).inline_keyboard
    assert [row[0].text for row in without] == ["a", "⏹ Stop"]


def test_what_an_agent_offers_is_not_dressed_up_as_the_platforms_own_and_hides_no_button() -> None:
    offered = question(text="Shall visitors accept cookies?", choices=["accept", "stop"])
    rows = keyboards.for_question(texts("en"), offered, TASK).inline_keyboard
    assert [row[0].text for row in rows] == ["accept", "stop", "⏹ Stop"]
    own = question(choices=["accept", "stop"], wording={"name": "unmet", "fields": {}})
    rows = keyboards.for_question(texts("en"), own, TASK).inline_keyboard
    assert [row[0].text for row in rows] == [keyboards.choice_label(texts("en"), one) for one in ("accept", "stop")]


def test_a_failed_task_offers_choices_and_its_details_once() -> None:
    failed = task(TaskState.FAILED, error_code="TESTS_FAILED", error="<pytest>")
    plain = views.final(texts("en"), screen(), "p", failed, Stage.TESTING)
    assert "The project's tests failed." in plain.text
    labels = [button.text for row in plain.keyboard.inline_keyboard for button in row] if plain.keyboard else []
    assert labels == ["🔁 Try again", "🔎 Details", "Dismiss"]
    detailed = views.final(texts("en"), screen(), "p", failed, Stage.TESTING, details=True)
    assert "&lt;pytest&gt;" in detailed.text
    assert "Details" not in str(detailed.keyboard)


def test_callback_data_fits_telegrams_64_bytes() -> None:
    longest = "dlv-" + "0" * 12
    for data in (
        AnswerData(question=f"q-{longest}-1234", choice=19, plan="a" * 8),
        CancelData(task=longest, step="sure"),
        FailedTaskData(task=longest, action="dismiss"),
    ):
        assert 1 <= len(data.pack().encode()) <= 64
        assert type(data).unpack(data.pack()) == data


def test_labels_of_choices_are_translated_or_as_an_agent_wrote_them() -> None:
    assert keyboards.choice_label(texts("ru"), "approve") == "✅ Разрешить"
    assert keyboards.choice_label(texts("ru"), "title, text") == "title, text"


@pytest.mark.parametrize("said", ["approve", "Approve", "✅ Approve", "разрешить", "Разрешить."])
def test_a_label_in_any_language_means_its_choice(said: str) -> None:
    asked = question(kind=QuestionKind.APPROVAL, choices=["approve", "stop"])
    assert answers._resolve_choice(asked, said) == "approve"


def test_secrets_are_read_by_name_or_alone() -> None:
    def read(text: str, asked: list[str], left: list[str]) -> dict[str, str]:
        return {name: value.get_secret_value() for name, value in typed_secrets.read_secrets(text, asked, left).items()}

    assert read(" s3cr=et \n", ["A"], ["A"]) == {"A": "s3cr=et"}
    assert read("A=1=2\nB: two", ["A", "B"], ["A", "B"]) == {"A": "1=2", "B": "two"}
    assert read("just one", ["A", "B"], ["B"]) == {"B": "just one"}
    assert read("no idea", ["A", "B"], ["A", "B"]) == {}
    assert read("C=1", ["A", "B"], ["A", "B"]) == {}


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ("Сделай сервис заметок: title, text", "zametok"),
        ("Make a notes service: title, text", "notes"),
        ("A library with books", "library-books"),
        ("!!!", "service"),
        ("42", "service-42"),
        ("ж" * 300, "zhzhzhzhzhzhzhzhzhzhzhzhzhzhzhzh"),
    ],
)
def test_a_project_is_named_after_its_subject(wish: str, name: str) -> None:
    first, second = naming.project_names(wish, "tg-42-100001")
    assert (first, second) == (name, f"{name}-100001")
