"""Tables that several commands show."""

import json
from datetime import datetime

from cli.terminal.output import Output, shortened
from contracts.nouns import AlertDTO, QueueDTO, TaskDTO
from contracts.project_settings import SettingDTO, SettingHistory
from contracts.questions import QuestionDTO


def show_tasks(tasks: list[TaskDTO], out: Output) -> None:
    rows = [
        (
            task.id,
            task.kind.value,
            task.state.value,
            task.stage,
            shortened(_note(task) or "", 60),
            shortened(task.title, 60),
        )
        for task in tasks
    ]
    out.table(("TASK", "KIND", "STATE", "STAGE", "NOTE", "TITLE"), rows, empty="No tasks.")


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
            f"UNSERVED since {moment(queue.unserved_since)}" if queue.unserved_since else None,
        )
        for queue in queues
    ]
    out.table(("QUEUE", "WORKERS", "POLLERS", "BACKLOG", "OLDEST", "NOTE"), rows, empty="No task queues yet.")


def show_alerts(alerts: list[AlertDTO], out: Output) -> None:
    for alert in alerts:
        out.say(f"ALERT {alert.kind} since {moment(alert.since)}: {alert.message}", style="bold red")


def moment(time: datetime) -> str:
    """A point in time, in the local time zone."""
    return time.astimezone().isoformat(sep=" ", timespec="seconds")


def show_questions(questions: list[QuestionDTO], out: Output) -> None:
    rows = [(item.id, item.kind.value, item.state.value, item.task_id, shortened(item.text, 120)) for item in questions]
    out.table(("QUESTION", "KIND", "STATE", "TASK", "TEXT"), rows, empty="No questions.")
    if open_one := next((item for item in questions if item.state.value == "open"), None):
        out.say(f"Next: orchestrator question show {open_one.id}")


def show_question(question: QuestionDTO, out: Output) -> None:
    """The question with how to answer it."""
    out.say(f"Question {question.id} ({question.kind.value}, {question.state.value})", style="bold")
    out.say(question.text)
    for choice in question.choices:
        out.say(f"  - {choice}")
    if question.answer:
        out.say(f"Answer: {question.answer}")
    if question.state.value != "open":
        return
    if question.secret_names:
        for name in question.secret_names:
            out.say(f"Next: orchestrator answer {question.id} --secret {name}")
    else:
        example = question.choices[0] if question.choices else "your answer"
        out.say(f'Next: orchestrator answer {question.id} "{example}"')


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
