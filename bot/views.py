"""What a screen shows, as a pure function of what is known: the same knowledge is the same screen."""

from dataclasses import dataclass

from aiogram.types import InlineKeyboardMarkup

from bot import keyboards
from bot.progress import STEPS, Progress
from bot.texts import Markup, Texts
from contracts.chat import ChatScreenDTO
from contracts.errors import bounded
from contracts.nouns import TaskDTO
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind, TaskState

_LONGEST_WISH = 300
_LONGEST_QUESTION = 2_000
_LONGEST_ERROR = 1_500


@dataclass(frozen=True)
class View:
    """Telegram's HTML and the buttons below it."""

    text: str
    keyboard: InlineKeyboardMarkup | None = None


@dataclass(frozen=True)
class Running:
    """What a screen of running work knows."""

    screen: ChatScreenDTO
    project: str
    progress: Progress
    question: QuestionDTO | None = None
    cancelling: bool = False
    stalled: tuple[str, str] | None = None
    """A queue that nobody serves, and since when."""


def accepted(texts: Texts, screen: ChatScreenDTO) -> View:
    """It stays true for ever, so that one which was lost sight of misleads nobody."""
    return View(texts("screen-accepted", wish=short(screen.wish)))


def running(texts: Texts, now: Running) -> View:
    task_id = now.progress.task_id
    head = texts("screen-head", project=now.project, wish=short(now.screen.wish))
    steps = _steps(texts, now.progress)
    if now.stalled is not None:
        queue, since = now.stalled
        steps = Markup(f"{steps}\n{texts('screen-stalled', queue=queue, since=since)}")
    if now.question is not None:
        return _asking(texts, now, head, steps, now.question)
    keyboard = keyboards.of_cancelling if now.cancelling else keyboards.of_running
    text = texts("screen-progress", head=head, steps=steps, percent=now.progress.percent)
    return View(text, keyboard(texts, task_id))


def final(
    texts: Texts, screen: ChatScreenDTO, project: str, task: TaskDTO, stage: str, *, details: bool = False
) -> View:
    """`stage` is where the work ended; `details` shows them."""
    wish = short(screen.wish)
    if task.state is TaskState.COMPLETED:
        url = str(task.result.get("deployed_url") or "")
        return View(texts("screen-done", project=project, wish=wish, url=url))
    if task.state is TaskState.CANCELLED:
        return View(texts("screen-cancelled", project=project, wish=wish, stage=stage_name(texts, stage)))
    reason = reason_text(texts, task.error_code)
    text = texts("screen-failed", project=project, wish=wish, stage=stage_name(texts, stage), reason=reason)
    if details:
        error = bounded(task.error or "", _LONGEST_ERROR)
        text = texts("screen-details", screen=text, task_id=task.id, code=task.error_code or "", error=error)
    return View(text, keyboards.of_failed(texts, task.id, details=not details))


def refused(texts: Texts, screen: ChatScreenDTO, code: str) -> View:
    """Work that could not begin."""
    reason = reason_text(texts, code) if texts.has(f"reason-{code}") else texts.plain("reason-code", code=code)
    return View(texts("screen-refused", wish=short(screen.wish), reason=reason))


def reason_text(texts: Texts, code: str | None) -> str:
    return texts.plain(f"reason-{code}" if code and texts.has(f"reason-{code}") else "reason-other")


def stage_name(texts: Texts, stage: str) -> str:
    """A workflow's word for a stage in the person's language; one that is new stays as it is."""
    return texts.maybe(f"stage-{stage.replace(' ', '-')}", stage)


def short(text: str, limit: int = _LONGEST_WISH) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _steps(texts: Texts, progress: Progress) -> Markup:
    present = len(STEPS) if progress.completed else STEPS.index(progress.step) if progress.step else -1
    lines = []
    for number, step in enumerate(STEPS):
        kind = "step-done" if number < present else "step-now" if number == present else "step-later"
        name = stage_name(texts, progress.stage if number == present else step)
        lines.append(texts(kind, name=name))
    return Markup("\n".join(lines))


def _asking(texts: Texts, now: Running, head: Markup, steps: Markup, question: QuestionDTO) -> View:
    text = texts(
        "screen-question",
        head=head,
        steps=steps,
        question=_question(texts, now.project, question),
        hint=_hint(texts, now.screen, question),
    )
    if now.cancelling:
        return View(text, keyboards.of_cancelling(texts, now.progress.task_id))
    return View(text, keyboards.of_question(texts, question, now.progress.task_id))


def _question(texts: Texts, project: str, question: QuestionDTO) -> str:
    """In the person's words where the platform asks; as it is where an agent does."""
    if question.kind is QuestionKind.SECRET:
        return texts.plain("question-secret", names=", ".join(question.secret_names))
    if question.kind is QuestionKind.APPROVAL:
        return texts.plain("question-approval", project=project, commit=(question.plan_hash or "")[:12])
    return bounded(question.text, _LONGEST_QUESTION)


def _hint(texts: Texts, screen: ChatScreenDTO, question: QuestionDTO) -> Markup:
    if question.kind is QuestionKind.SECRET:
        if screen.chat_id < 0:
            return texts("hint-secret-group")
        return texts("hint-secret" if len(question.secret_names) == 1 else "hint-secret-several")
    if question.kind in {QuestionKind.APPROVAL, QuestionKind.BUDGET}:
        return texts("hint-choice")
    return texts("hint-text")
