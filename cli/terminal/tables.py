"""Tables that several commands show."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from cli.terminal.output import Output, shortened
from contracts.base import utc_now
from contracts.nouns import AlertDTO, QueueDTO, TaskDTO
from contracts.project_settings import SettingDTO, SettingHistory
from contracts.questions import QuestionDTO
from contracts.subjects import Subject


def show_tasks(tasks: list[TaskDTO], out: Output, names: Mapping[str, str]) -> None:
    """`names`: of projects, by their ids."""
    rows = [
        (
            task.id,
            _subject(task.subject, names),
            task.kind.value,
            task.state.value,
            task.stage,
            age(task.created_at),
            shortened(_note(task) or "", 60),
            shortened(task.title, 60),
        )
        for task in tasks
    ]
    headers = ("TASK", "PROJECT", "KIND", "STATE", "STAGE", "AGE", "NOTE", "TITLE")
    out.table(headers, rows, empty="No tasks.")


def _subject(subject: Subject, names: Mapping[str, str]) -> str:
    """The project's name; what belongs to no project says what it belongs to."""
    if subject.project_id is None:
        return str(subject)
    return names.get(subject.project_id, subject.project_id)


def age(since: datetime, now: datetime | None = None) -> str:
    """How long ago, in its largest unit: `5s`, `12m`, `3h`, `8d`."""
    seconds = max(0, int(((now or utc_now()) - since).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def stall_note(task: TaskDTO) -> str | None:
    """Why a running task makes no progress; None if a Temporal worker serves it."""
    if task.stalled_queue is None:
        return None
    since = f" since {moment(task.stalled_since)}" if task.stalled_since else ""
    return f"no Temporal worker on queue {task.stalled_queue}{since}"


def _note(task: TaskDTO) -> str | None:
    return stall_note(task) or task.waiting_for or task.error_code


def show_queues(queues: list[QueueDTO], out: Output) -> None:
    """Who serves each task queue, and what waits in it."""
    rows = [
        (
            queue.name,
            queue.workers,
            queue.pollers,
            queue.backlog,
            f"{queue.oldest_waiting_s:.0f} s" if queue.oldest_waiting_s is not None else None,
            _service_note(queue),
        )
        for queue in queues
    ]
    out.table(("QUEUE", "WORKERS", "POLLERS", "BACKLOG", "OLDEST", "NOTE"), rows, empty="No task queues yet.")


def _service_note(queue: QueueDTO) -> str | None:
    if queue.unserved_since:
        return f"UNSERVED since {moment(queue.unserved_since)}"
    return None if queue.served else "no live Temporal worker"


def show_alerts(alerts: list[AlertDTO], out: Output) -> None:
    for alert in alerts:
        out.advise(f"ALERT {alert.kind} since {moment(alert.since)}: {alert.message}", style="bold red")


def moment(time: datetime) -> str:
    """A point in time, in the local time zone."""
    return time.astimezone().isoformat(sep=" ", timespec="seconds")


def show_questions(questions: list[QuestionDTO], out: Output, names: Mapping[str, str]) -> None:
    """`names`: of projects, by their ids."""
    rows = [
        (
            item.id,
            _subject(item.subject, names),
            item.kind.value,
            item.state.value,
            age(item.created_at),
            item.task_id,
            shortened(item.text, 120),
        )
        for item in questions
    ]
    out.table(("QUESTION", "PROJECT", "KIND", "STATE", "AGE", "TASK", "TEXT"), rows, empty="No questions.")
    if open_one := next((item for item in questions if item.state.value == "open"), None):
        out.advise(f"Next: orchestrator question show {open_one.id}")


def show_question(question: QuestionDTO, out: Output, *, asks_here: bool = False) -> None:
    """The question with its choices, and how to answer it unless it is asked at a prompt."""
    out.say(f"Question {question.id} ({question.kind.value}, {question.state.value})", style="bold")
    out.tell(question.text)
    for number, choice in enumerate(question.choices, 1):
        out.say(f"  {number}  {choice}")
    if question.answer:
        out.say(f"Answer: {question.answer}")
    if question.state.value != "open" or asks_here:
        return
    _say_how_to_answer(question, out)


def show_open_questions(questions: Sequence[QuestionDTO], out: Output) -> None:
    """What a project waits for, and how to answer it; nothing if it waits for nobody."""
    for question in questions:
        out.tell(f"Open question {question.id}: {question.text}", style="bold")
        _say_how_to_answer(question, out)


def _say_how_to_answer(question: QuestionDTO, out: Output) -> None:
    for name in question.secret_names:
        out.advise(f"Next: orchestrator answer {question.id} --secret {name}")
    if not question.secret_names:
        example = question.choices[0] if question.choices else "your answer"
        out.advise(f'Next: orchestrator answer {question.id} "{example}"')


def chosen(text: str, choices: Sequence[str]) -> str:
    """The answer that a person means: the choice with this number, unless the number is itself a choice."""
    number = text.strip()
    if text in choices or not (number.isascii() and number.isdigit()):
        return text
    return choices[int(number) - 1] if 1 <= int(number[:4]) <= len(choices) and len(number) < 4 else text


def show_settings(settings: list[SettingDTO], out: Output) -> None:
    rows = [
        (
            setting.name,
            json.dumps(setting.value),
            setting.source,
            setting.description if setting.in_use else f"{setting.description} (not used yet)",
        )
        for setting in settings
    ]
    out.table(("SETTING", "VALUE", "FROM", "MEANING"), rows, empty="No settings.")


def show_setting_versions(history: SettingHistory, out: Output) -> None:
    rows = [(one.version, json.dumps(one.value), one.changed_by, moment(one.changed_at)) for one in history.items]
    out.table(("VERSION", "VALUE", "BY USER", "WHEN"), rows, empty=f"Nobody has changed {history.name} here.")
