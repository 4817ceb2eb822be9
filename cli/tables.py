"""Tables that several commands show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.output import shortened

if TYPE_CHECKING:
    from cli.output import Output
    from contracts.nouns import TaskDTO
    from contracts.questions import QuestionDTO


def show_tasks(tasks: list[TaskDTO], out: Output) -> None:
    rows = [
        (
            task.id,
            task.kind.value,
            task.state.value,
            task.stage,
            shortened(task.waiting_for or task.error_code or "", 60),
            shortened(task.title, 60),
        )
        for task in tasks
    ]
    out.table(("TASK", "KIND", "STATE", "STAGE", "NOTE", "TITLE"), rows, empty="No tasks.")


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
