"""Inline keyboards, and the callback data of their buttons.

Callback data only names a task, a question or a choice; the platform checks what the person may do. Old messages keep
their buttons, so prefixes, the order of fields and their values must not change.
"""

from typing import Literal

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from bot.texts import LANGUAGES, Texts
from contracts.questions import QuestionDTO
from contracts.states import AgentKind

_MAX_LABEL = 40
_PLAN_PREFIX = 8
STOP = "stop"
"""The platform's own choice, which ends the task as the button below a running task does."""

_AGENTS = frozenset(agent.value for agent in AgentKind)


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


class DoubtData(CallbackData, prefix="d"):
    """What a text was meant as; `update` brought it."""

    question: str
    update: int
    meant: Literal["answer", "wish"]


class LanguageData(CallbackData, prefix="l"):
    language: str


def for_question(texts: Texts, question: QuestionDTO, root_task: str) -> InlineKeyboardMarkup:
    """No two buttons look the same: a choice that comes again is left out, as is "stop" if it is a choice already."""
    plan = (question.plan_hash or "")[:_PLAN_PREFIX]
    rows = [
        [_button(label, AnswerData(question=question.id, choice=index, plan=plan))]
        for index, label in _labels(texts, question).items()
    ]
    is_offered = STOP in question.choices and not question.is_agents
    stop = [] if is_offered else for_running_task(texts, root_task).inline_keyboard
    return InlineKeyboardMarkup(inline_keyboard=[*rows, *stop])


def for_doubt(texts: Texts, question: QuestionDTO, update_id: int) -> InlineKeyboardMarkup:
    """Under a text that may be an answer or a new description."""
    names: tuple[Literal["answer", "wish"], ...] = ("answer", "wish")
    return _rows(
        *[
            [
                _button(
                    texts.plain(f"button-doubt-{name}"), DoubtData(question=question.id, update=update_id, meant=name)
                )
            ]
            for name in names
        ]
    )


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


def _labels(texts: Texts, question: QuestionDTO) -> dict[int, str]:
    """The label of each choice by its index, without choices that are there already."""
    found: dict[int, str] = {}
    choices = question.choices
    for index, choice in enumerate(choices):
        label = label_of(texts, question, choice)
        if choice in choices[:index]:
            continue
        alike = any(_shortened(label) == _shortened(other) for other in found.values())
        found[index] = f"{index + 1}. {label}" if alike else label
    return found


def label_of(texts: Texts, question: QuestionDTO, choice: str) -> str:
    """The label of a question's choice: as it is if an agent has offered it, whatever the platform calls its own."""
    return choice if question.is_agents else choice_label(texts, choice)


def choice_label(texts: Texts, choice: str) -> str:
    """The label of a choice of the platform: translated if it is one of its own, or one of its agents."""
    if choice in _AGENTS:
        return texts.plain("label-agent", agent=choice)
    return texts.get(f"choice-{choice}", choice) if choice.isalpha() else choice


def plan_matches(question: QuestionDTO, data: AnswerData) -> bool:
    return (question.plan_hash or "")[:_PLAN_PREFIX] == data.plan


def _button(text: str, data: CallbackData) -> InlineKeyboardButton:
    return InlineKeyboardButton(text=_shortened(text), callback_data=data.pack())


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_LABEL else f"{text[: _MAX_LABEL - 1]}…"


def _rows(*rows: list[InlineKeyboardButton]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=list(rows))
