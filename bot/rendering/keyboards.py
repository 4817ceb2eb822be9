"""Inline keyboards, and the callback data of their buttons.

Callback data only names a task, a question or a choice; the platform checks what the person may do. Old messages keep
their buttons, so prefixes, the order of fields and their values must not change.
"""

from typing import Literal

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from bot.texts import LANGUAGES, Texts
from contracts.questions import QuestionDTO

_MAX_LABEL = 40
_PLAN_PREFIX = 8


class AnswerData(CallbackData, prefix="a"):
    """`choice` is the index of the choice, `plan` the first 8 characters of the plan's hash."""

    question: str
    choice: int
    plan: str = ""


class CancelData(CallbackData, prefix="c"):
    task: str
    step: Literal["ask", "sure", "not"]


class FailedTaskData(CallbackData, prefix="f"):
    task: str
    action: Literal["again", "details", "dismiss"]


class LanguageData(CallbackData, prefix="l"):
    language: str


def for_question(texts: Texts, question: QuestionDTO, root_task: str) -> InlineKeyboardMarkup:
    plan = (question.plan_hash or "")[:_PLAN_PREFIX]
    rows = [
        [_button(choice_label(texts, choice), AnswerData(question=question.id, choice=index, plan=plan))]
        for index, choice in enumerate(question.choices)
    ]
    return InlineKeyboardMarkup(inline_keyboard=[*rows, *for_running_task(texts, root_task).inline_keyboard])


def for_running_task(texts: Texts, task_id: str) -> InlineKeyboardMarkup:
    return _rows([_button(texts.plain("button-cancel"), CancelData(task=task_id, step="ask"))])


def for_cancel_confirmation(texts: Texts, task_id: str) -> InlineKeyboardMarkup:
    return _rows(
        [
            _button(texts.plain("button-cancel-sure"), CancelData(task=task_id, step="sure")),
            _button(texts.plain("button-cancel-not"), CancelData(task=task_id, step="not")),
        ]
    )


def for_failed_task(texts: Texts, task_id: str, *, details: bool) -> InlineKeyboardMarkup:
    """`details`: whether to offer them."""
    first = [_button(texts.plain("button-again"), FailedTaskData(task=task_id, action="again"))]
    if details:
        first.append(_button(texts.plain("button-details"), FailedTaskData(task=task_id, action="details")))
    return _rows(first, [_button(texts.plain("button-dismiss"), FailedTaskData(task=task_id, action="dismiss"))])


def for_cancel_list(texts: Texts, tasks: list[tuple[str, str]]) -> InlineKeyboardMarkup:
    """`tasks`: ids and titles."""
    return _rows(
        *[
            [_button(texts.plain("cancel-button", title=title), CancelData(task=task_id, step="sure"))]
            for task_id, title in tasks
        ]
    )


def for_languages(texts: Texts) -> InlineKeyboardMarkup:
    return _rows([_button(texts.plain(f"language-name-{name}"), LanguageData(language=name)) for name in LANGUAGES])


def choice_label(texts: Texts, choice: str) -> str:
    """The label of a choice: translated if it is one of the platform's own."""
    return texts.get(f"choice-{choice}", choice) if choice.isalpha() else choice


def plan_matches(question: QuestionDTO, data: AnswerData) -> bool:
    return (question.plan_hash or "")[:_PLAN_PREFIX] == data.plan


def _button(text: str, data: CallbackData) -> InlineKeyboardButton:
    label = text if len(text) <= _MAX_LABEL else f"{text[: _MAX_LABEL - 1]}…"
    return InlineKeyboardButton(text=label, callback_data=data.pack())


def _rows(*rows: list[InlineKeyboardButton]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=list(rows))
