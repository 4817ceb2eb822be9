"""The text and keyboard of a task message, as pure functions of the task's state."""

from dataclasses import dataclass, field

from aiogram.types import InlineKeyboardMarkup

from bot.rendering import keyboards
from bot.rendering.plans import price, with_parts
from bot.rendering.progress import STEPS, Progress
from bot.texts import Markup, Texts
from contracts.chat import ChatScreenDTO
from contracts.criteria import Criterion, built, not_built, not_checked
from contracts.errors import ErrorCode, bounded
from contracts.limit_answers import raise_of
from contracts.names import LINK_OF, REVIEW
from contracts.nouns import TaskDTO
from contracts.parts import TaskPart
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind, Stage, TaskState
from contracts.suite_figures import figures_in

# In characters. A message holds 4096.
_MAX_WISH = 300
_MAX_QUESTION = 2_000
_MAX_TOLD = 1_800
_MAX_ERROR = 1_500
_MAX_CLAUSE = 150
_MAX_REVIEW = 700
_MOST_CLAUSES = 15


@dataclass(frozen=True)
class View:
    """Telegram HTML, and the inline keyboard below it."""

    text: str
    keyboard: InlineKeyboardMarkup | None = None


@dataclass(frozen=True)
class RunningTask:
    """What is known about a running task. `stalled`: a queue without workers, and since when (UTC)."""

    screen: ChatScreenDTO
    project: str
    progress: Progress
    question: QuestionDTO | None = None
    parts: list[TaskPart] = field(default_factory=list)
    confirming_cancel: bool = False
    stalled: tuple[str, str] | None = None


def accepted(texts: Texts, screen: ChatScreenDTO) -> View:
    """Says nothing that can become wrong: after a crash this message may stay in the chat without being edited."""
    return View(texts("screen-accepted", wish=shorten(screen.wish)))


def running(texts: Texts, task: RunningTask) -> View:
    task_id = task.progress.task_id
    head = texts("screen-head", project=task.project, wish=shorten(task.screen.wish))
    steps = with_parts(texts, _steps(texts, task.progress), task.parts)
    if task.stalled is not None:
        queue, since = task.stalled
        steps = Markup(f"{steps}\n{texts('screen-stalled', queue=queue, since=since)}")
    if task.question is not None:
        return _with_question(texts, task, head, steps, task.question)
    keyboard = keyboards.for_cancel_confirmation if task.confirming_cancel else keyboards.for_running_task
    text = texts("screen-progress", head=head, steps=steps, percent=task.progress.percent)
    return View(text, keyboard(texts, task_id))


def final(
    texts: Texts, screen: ChatScreenDTO, project: str, task: TaskDTO, stage: Stage, *, details: bool = False
) -> View:
    """`stage`: where the task ended. `details`: whether to show error code and text."""
    wish = shorten(screen.wish)
    if task.state is TaskState.COMPLETED:
        url = str(task.result.get("deployed_url") or "")
        text = texts("screen-done", project=project, wish=wish, url=url)
        for service, link in _other_links(task, url):
            text = texts("screen-link", screen=text, service=service, url=link)
        below = [*_verdict(texts, task), *_tests(texts, task), *_review(texts, task), *price(texts, task)]
        return View(Markup("\n\n".join([text, *below])))
    if task.state is TaskState.CANCELLED:
        text = texts("screen-cancelled", project=project, wish=wish, stage=stage_name(texts, stage))
        if task.error_code == ErrorCode.STOPPED_AT_LIMIT:
            return View(text, keyboards.for_failed_task(texts, task.id, details=False))
        return View(text)
    reason = reason_text(texts, task.error_code)
    text = texts("screen-failed", project=project, wish=wish, stage=stage_name(texts, stage), reason=reason)
    text = with_parts(texts, text, task.parts)
    if details:
        error = bounded(task.error or "", _MAX_ERROR)
        text = texts("screen-details", screen=text, task_id=task.id, code=task.error_code or "", error=error)
    return View(text, keyboards.for_failed_task(texts, task.id, details=not details))


def refused(texts: Texts, screen: ChatScreenDTO, code: str) -> View:
    """A task that could not start."""
    reason = reason_text(texts, code) if texts.has(f"reason-{code}") else texts.plain("reason-code", code=code)
    return View(texts("screen-refused", wish=shorten(screen.wish), reason=reason))


def _verdict(texts: Texts, task: TaskDTO) -> list[Markup]:
    """What was seen to be there, what nobody could check, and last what is not there, in the person's own words."""
    found = (("built", built, 5), ("not-checked", not_checked, 5), ("not-built", not_built, _MOST_CLAUSES))
    return [_clauses(texts, task, title, those, most) for title, of, most in found if (those := of(task.criteria))]


def _tests(texts: Texts, task: TaskDTO) -> list[Markup]:
    """What the project's own tests say in figures, as far as it is known."""
    figures = figures_in(task.result)
    if figures.percent is None:
        return [] if figures.executed is None else [texts("tests-ran", count=figures.executed)]
    if figures.executed is None:
        return [texts("lines-covered", percent=figures.percent)]
    return [texts("tests-ran-and-covered", count=figures.executed, percent=figures.percent)]


def _review(texts: Texts, task: TaskDTO) -> list[Markup]:
    """What somebody who has read the change says of it, if anybody has."""
    said = task.result.get(REVIEW)
    return [texts("reviewed", review=bounded(str(said), _MAX_REVIEW))] if said else []


def _clauses(texts: Texts, task: TaskDTO, title: str, criteria: list[Criterion], most: int) -> Markup:
    lines = [texts("not-built-line", words=shorten(one.words or one.sentence, _MAX_CLAUSE)) for one in criteria]
    shown = lines[:most]
    if len(lines) > len(shown):
        shown.append(texts("not-built-more", count=len(lines) - len(shown), task_id=task.id))
    return Markup("\n".join([texts(title), *shown]))


def reason_text(texts: Texts, code: str | None) -> str:
    return texts.plain(f"reason-{code}" if code and texts.has(f"reason-{code}") else "reason-other")


def stage_name(texts: Texts, stage: Stage) -> str:
    """The name of a stage in the person's language."""
    return texts.plain(f"stage-{stage.value.replace(' ', '-')}")


def shorten(text: str, limit: int = _MAX_WISH) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _other_links(task: TaskDTO, url: str) -> list[tuple[str, str]]:
    """The services of a project that are reached elsewhere than at its address."""
    links = {name: str(link) for name, link in task.result.items() if name.startswith(LINK_OF) and link}
    return [(name.removeprefix(LINK_OF), link) for name, link in links.items() if link != url]


def _steps(texts: Texts, progress: Progress) -> Markup:
    current = len(STEPS) if progress.completed else STEPS.index(progress.step) if progress.step is not None else -1
    lines = []
    for number, step in enumerate(STEPS):
        kind = "step-done" if number < current else "step-now" if number == current else "step-later"
        name = stage_name(texts, progress.stage if number == current else step)
        lines.append(texts(kind, name=name))
    return Markup("\n".join(lines))


def _with_question(texts: Texts, task: RunningTask, head: Markup, steps: Markup, question: QuestionDTO) -> View:
    text = texts(
        "screen-question",
        head=head,
        steps=steps,
        question=_question_text(texts, task.project, question),
        hint=_hint(texts, task.screen, question),
    )
    if task.confirming_cancel:
        return View(text, keyboards.for_cancel_confirmation(texts, task.progress.task_id))
    return View(text, keyboards.for_question(texts, question, task.progress.task_id))


def _question_text(texts: Texts, project: str, question: QuestionDTO) -> str:
    """Translated if the platform asks; unchanged if an agent does."""
    if question.kind is QuestionKind.SECRET:
        return texts.plain("question-secret", names=", ".join(question.secret_names))
    wording = question.wording
    if question.kind is QuestionKind.APPROVAL and wording is None:
        return texts.plain("question-approval", project=project, commit=(question.plan_hash or "")[:12])
    if wording is not None and texts.has(f"question-{wording.name}"):
        told = {name: bounded(value, _MAX_TOLD) for name, value in wording.fields.items()}
        return texts.plain(f"question-{wording.name}", **told)
    return bounded(question.text, _MAX_QUESTION)


def _hint(texts: Texts, screen: ChatScreenDTO, question: QuestionDTO) -> Markup:
    if question.kind is QuestionKind.SECRET:
        if screen.chat_id < 0:
            return texts("hint-secret-group")
        return texts("hint-secret" if len(question.secret_names) == 1 else "hint-secret-several")
    if question.kind is QuestionKind.BUDGET:
        return texts("hint-budget" if any(map(raise_of, question.choices)) else "hint-choice")
    if question.kind is QuestionKind.APPROVAL:
        return texts("hint-choice")
    return texts("hint-text")
