"""Follows a task from its ordered stream to its end, and says how it ended."""

from tenacity import AsyncRetrying, RetryError, retry_if_exception, stop_after_delay, wait_fixed

from cli.client.asking import Asking
from cli.terminal.exits import ExitCode
from cli.terminal.output import Output
from cli.terminal.plans import cost_line, part_lines
from contracts.criteria import built, not_built, not_checked, reason
from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import LINK_OF, REVIEW, SCREENSHOT
from contracts.nouns import StartedTask, TaskDTO
from contracts.progress import FineKind, ProgressEvent, StreamedEvent
from contracts.states import TaskState
from contracts.suite_figures import LINES_COVERED, TESTS, figures_in
from runtime.api_client import ApiClient

_FIRST_PROJECTION_S = 20.0
_LOOK_AGAIN_S = 0.2
_MOST_LEVELS = 5
_MARKS: dict[FineKind | None, str] = {
    "thought": "… ",
    "plan": "☰ ",
    "tool": "⚙ ",
    "command": "$ ",
    "diff": "± ",
    "result": "  ",
    "steer": "» ",
}


async def follow(
    api: ApiClient, task_id: str, out: Output, *, after: int = 0, until_question: bool = False, prompts: bool = False
) -> ExitCode:
    """Print the events of the task and of the work below it until it is final, then its result.

    `after` skips the steps up to the one that was printed with this number; a question among them is shown while it is
    open. With `until_question` it ends, with FAILED, as soon as a person is asked: the work keeps waiting. With
    `prompts` whoever watches at a terminal can answer there.
    With --json each event is one document, with the number of its step, each new question another, and the last one is
    `{"task": …}`.
    """
    steps, asking = Steps(out, after), Asking(api, out)
    watched = await api.task(task_id)
    if watched.state is TaskState.QUEUED:
        out.advise(f"{task_id} is queued until a Temporal worker is free. `orchestrator status` shows the workers.")
    try:
        async for event in api.watch(task_id):
            is_new = steps.count(event)
            if is_new:
                out.document({"number": steps.number, "event": event.model_dump(mode="json")})
            question_id = event.event.question_id
            # A question has lines of its own, with its whole text.
            asked = question_id is not None and await asking.show(question_id, prompts=prompts)
            if asked and until_question:
                return ExitCode.FAILED
            if is_new and not asked:
                steps.show(event)
    finally:
        await asking.close()
    task = await api.task(task_id)
    out.document({"task": task.model_dump(mode="json")})
    show_ending(task, out, await _clone_url(api, task, out))
    return ending_code(task)


async def _clone_url(api: ApiClient, task: TaskDTO, out: Output) -> str | None:
    """Where the code of a completed task can be cloned from, also from another machine."""
    project_id = task.subject.project_id
    if out.as_json or project_id is None or task.state is not TaskState.COMPLETED or "commit_sha" not in task.result:
        return None
    try:
        return (await api.project(project_id)).project.clone_url
    except OrchestratorError:
        # A scoped token may watch its task and not read its project; the result is shown in any case.
        return None


async def appeared(api: ApiClient, started: StartedTask) -> TaskDTO:
    """The task's row, which its workflow writes first; waits for up to twenty seconds.

    Raises WORKFLOW_BUSY when no Temporal worker has picked the work up by then; it stays queued.
    """
    tries = AsyncRetrying(
        retry=retry_if_exception(_is_missing),
        stop=stop_after_delay(_FIRST_PROJECTION_S),
        wait=wait_fixed(_LOOK_AGAIN_S),
    )
    try:
        return await tries(api.task, started.task_id)
    except RetryError:
        raise OrchestratorError(
            ErrorCode.WORKFLOW_BUSY,
            f"{started.task_id} is queued, but no Temporal worker has taken it yet. Nothing is lost. "
            "`orchestrator status` shows which part is missing; then run `orchestrator task watch "
            f"{started.task_id}`.",
        ) from None


async def known_task(api: ApiClient, task_id: str) -> str:
    """The task that a person has started, of which `task_id` is a part: they know a delivery, not its engineering."""
    for _ in range(_MOST_LEVELS):
        try:
            above = (await api.task(task_id)).parent_task_id
        except OrchestratorError:
            # Advice may name the part itself: it can be watched as well.
            break
        if above is None:
            break
        task_id = above
    return task_id


def _is_missing(error: BaseException) -> bool:
    return isinstance(error, OrchestratorError) and error.code is ErrorCode.NOT_FOUND


def fine_line(progress: ProgressEvent) -> str:
    """A fine event in one line, with a mark for what it is about."""
    text = progress.message or progress.error or progress.current_step or progress.type
    return f"{_MARKS.get(progress.kind, '')}{_one_line(text)}"


class Steps:
    """Numbers the milestones; fine events are shown beneath the one they belong to. The first `after` are skipped."""

    def __init__(self, out: Output, after: int = 0) -> None:
        self._out = out
        self._after = after
        self.number = 0

    def count(self, event: StreamedEvent) -> bool:
        """Give the event its number; False if it is to be skipped."""
        if event.grain == "milestone":
            self.number += 1
        return not self._after or self.number > self._after

    def show(self, event: StreamedEvent) -> None:
        """Print the event that was counted last."""
        progress = event.event
        text = progress.message or progress.error or progress.current_step or progress.type
        if event.grain == "fine":
            self._out.say(f"      {fine_line(progress)}", style="dim")
        else:
            self._show_step(event, _one_line(text))

    def _show_step(self, event: StreamedEvent, text: str) -> None:
        progress = event.event
        stage = f"{progress.current_step}: " if progress.current_step and progress.message else ""
        # A stream says how far the watched task is; a single task's list only how far that one is.
        reached = progress.progress_pct if event.percent is None else event.percent
        share = f" ({reached} %)" if progress.progress_pct is not None else ""
        moment = progress.timestamp.astimezone().strftime("%H:%M:%S")
        self._out.tell(f"{self.number:>3}  {moment}  {stage}{text}{share}", style=_STYLES[progress.type])


_STYLES = {"started": "bold", "progress": None, "completed": "green", "failed": "red"}


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def ending_code(task: TaskDTO) -> ExitCode:
    """OK only for a completed task; a watched task that is not final has not failed either."""
    return ExitCode.FAILED if task.state in {TaskState.FAILED, TaskState.CANCELLED} else ExitCode.OK


def show_ending(task: TaskDTO, out: Output, clone_url: str | None = None, *, plan: bool = True) -> None:
    """The result of a finished task, or why it failed, and what to run next; with `plan` parts and price, too."""
    if plan:
        for line in part_lines(task):
            out.tell(line)
        out.facts([("Cost", cost_line(task.cost, ended=task.state.is_final))])
    if task.state is TaskState.COMPLETED:
        out.say(f"{task.id} completed", style="bold green")
        out.facts([*_result_facts(task), ("Clone", f"git clone {clone_url}" if clone_url else None)])
        show_criteria(task, out)
        show_review(task, out)
        if any(name.startswith(SCREENSHOT) for name in task.result):
            out.advise(f"To save the screenshots: orchestrator task screenshots {task.id}")
    elif task.state is TaskState.FAILED:
        out.say(f"{task.id} failed{_where(task)}: {task.error_code}", style="bold red")
        out.tell(task.error or "The reason was not recorded.")
        out.advise(f"Next: orchestrator task logs {task.id}")
        out.advise(f"To go on where it ended: orchestrator task retry {task.id}")
    elif task.state is TaskState.CANCELLED:
        out.say(f"{task.id} was cancelled{_where(task)}", style="bold yellow")
        if task.error_code == ErrorCode.STOPPED_AT_LIMIT:
            out.tell(task.error or "It was stopped at a limit.")
    else:
        out.tell(f"{task.id} is {task.state.value}: {task.waiting_for or task.stage}")
        if task.question_id:
            out.advise(f"Next: orchestrator question show {task.question_id}")
    if task.web_url:
        out.say(f"In the Web UI: {task.web_url}")


def show_criteria(task: TaskDTO, out: Output) -> None:
    """What was asked for: what was seen to be there, what is not, and what nobody could check, each with its reason."""
    sections = (
        ("Built:", "bold green", built(task.criteria)),
        ("Not built:", "bold yellow", not_built(task.criteria)),
        ("Not checked:", "bold", not_checked(task.criteria)),
    )
    for title, style, found in sections:
        if found:
            out.say(title, style=style)
        for one in found:
            out.say(f"  {one.words or one.sentence}" + (f"  ({reason(one)})" if one.words else ""))


def show_review(task: TaskDTO, out: Output) -> None:
    """What somebody who has read the change says of it, if anybody has."""
    if task.result.get(REVIEW):
        out.say("Review:", style="bold")
        for line in str(task.result[REVIEW]).splitlines():
            out.say(f"  {line}")


def _where(task: TaskDTO) -> str:
    """The stage, if it says more than the state."""
    return f" in {task.stage}" if task.stage and task.stage != task.state.value else ""


def _result_facts(task: TaskDTO) -> list[tuple[str, object]]:
    names = {"deployed_url": "URL", "commit_sha": "Commit", "branch": "Branch", "release_id": "Release"}
    known = [(label, task.result.get(name)) for name, label in names.items()]
    tests = ("Tests", figures_in(task.result).told() or None)
    others = [
        (_label(name), value)
        for name, value in task.result.items()
        if name not in {*names, REVIEW, TESTS, LINES_COVERED}
    ]
    return [*known, tests, *others]


def _label(name: str) -> str:
    if name.startswith(SCREENSHOT):
        return f"Screenshot {name.removeprefix(SCREENSHOT)}"
    if name.startswith(LINK_OF):
        return f"Link of {name.removeprefix(LINK_OF)}"
    plain = name.replace("_", " ").replace(" ip", " IP")
    return f"{plain[:1].upper()}{plain[1:]}"
