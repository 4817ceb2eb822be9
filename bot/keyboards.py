"""Buttons, and the data that comes back when one is pressed. The data names things; rights are checked elsewhere."""

from typing import Literal

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from bot.texts import LANGUAGES, Texts
from contracts.questions import QuestionDTO

_LONGEST_LABEL = 40
_PLAN = 8


class AnswerData(CallbackData, prefix="a"):
    """`plan` is the beginning of the plan's hash, `choice` the number of the choice."""

    question: str
    choice: int
    plan: str = ""


class CancelData(CallbackData, prefix="c"):
    task: str
    step: Literal["ask", "sure", "not"]


class AfterData(CallbackData, prefix="f"):
    """What may be done with a task that has failed."""

    task: str
    do: Literal["again", "details", "dismiss"]


class LanguageData(CallbackData, prefix="l"):
    language: str


def of_question(texts: Texts, question: QuestionDTO, root_task: str) -> InlineKeyboardMarkup:
    plan = (question.plan_hash or "")[:_PLAN]
    rows = [
        [_button(choice_label(texts, choice), AnswerData(question=question.id, choice=number, plan=plan))]
        for number, choice in enumerate(question.choices)
    ]
    return InlineKeyboardMarkup(inline_keyboard=[*rows, *of_running(texts, root_task).inline_keyboard])


def of_running(texts: Texts, task_id: str) -> InlineKeyboardMarkup:
    return _rows([_button(texts.plain("button-cancel"), CancelData(task=task_id, step="ask"))])


def of_cancelling(texts: Texts, task_id: str) -> InlineKeyboardMarkup:
    return _rows(
        [
            _button(texts.plain("button-cancel-sure"), CancelData(task=task_id, step="sure")),
            _button(texts.plain("button-cancel-not"), CancelData(task=task_id, step="not")),
        ]
    )


def of_failed(texts: Texts, task_id: str, *, details: bool) -> InlineKeyboardMarkup:
    """`details`: whether they can still be asked for."""
    first = [_button(texts.plain("button-again"), AfterData(task=task_id, do="again"))]
    if details:
        first.append(_button(texts.plain("button-details"), AfterData(task=task_id, do="details")))
    return _rows(first, [_button(texts.plain("button-dismiss"), AfterData(task=task_id, do="dismiss"))])


def of_cancel_list(texts: Texts, tasks: list[tuple[str, str]]) -> InlineKeyboardMarkup:
    """`tasks`: ids and titles."""
    return _rows(
        *[
            [_button(texts.plain("cancel-button", title=title), CancelData(task=task_id, step="sure"))]
            for task_id, title in tasks
        ]
    )


def of_languages(texts: Texts) -> InlineKeyboardMarkup:
    return _rows([_button(texts.plain(f"language-name-{name}"), LanguageData(language=name)) for name in LANGUAGES])


def choice_label(texts: Texts, choice: str) -> str:
    """The label of a choice: translated when it is one of the platform's own."""
    return texts.maybe(f"choice-{choice}", choice) if choice.isalpha() else choice


def plan_matches(question: QuestionDTO, data: AnswerData) -> bool:
    return (question.plan_hash or "")[:_PLAN] == data.plan


def _button(text: str, data: CallbackData) -> InlineKeyboardButton:
    label = text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
    return InlineKeyboardButton(text=label, callback_data=data.pack())


def _rows(*rows: list[InlineKeyboardButton]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=list(rows))
