"""`orchestrator task …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import EPILOG
from cli.options import AnyProject, AsJson, TaskArgument
from contracts.states import TaskState

if TYPE_CHECKING:
    from cli.output import Output
    from cli.platform import Platform
    from contracts.nouns import TaskDTO

app = typer.Typer(help="Work in progress and finished work.", no_args_is_help=True, epilog=EPILOG)


@app.command("list", epilog=EPILOG)
def list_tasks(
    project: AnyProject = None,
    state: Annotated[TaskState | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List tasks, newest first."""
    from cli import session
    from cli.lookup import find_project
    from cli.tables import show_tasks
    from contracts.nouns import TaskList

    async def work(platform: Platform, out: Output) -> None:
        wanted = None if project is None else (await find_project(platform.api, project)).id
        tasks = await platform.api.tasks(project_id=wanted, state=state and state.value, limit=limit)
        out.document(TaskList(items=tasks))
        show_tasks(tasks, out)

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def show(task: TaskArgument, as_json: AsJson = False) -> None:
    """Show a task: state, stage, result or error, artifacts."""
    from cli import inputs, session

    wanted = inputs.identifier(task, "TASK")

    async def work(platform: Platform, out: Output) -> None:
        found = await platform.api.task(wanted)
        out.document(found)
        _describe(found, out)

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def watch(
    task: TaskArgument,
    after: Annotated[int, typer.Option(min=0, help="Only events after this sequence number.")] = 0,
    as_json: AsJson = False,
) -> int:
    """Follow a task to its end; ends with 1 when it failed or was cancelled."""
    from cli import inputs, session
    from cli.watching import follow

    wanted = inputs.identifier(task, "TASK")

    async def work(platform: Platform, out: Output) -> int:
        await platform.api.task(wanted)
        return await follow(platform.api, wanted, out, after=after)

    return session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def cancel(task: TaskArgument, as_json: AsJson = False) -> None:
    """Ask a task to stop; it says `cancelled` once everything of it has stopped."""
    from cli import inputs, session
    from contracts.errors import ErrorCode, OrchestratorError

    wanted = inputs.identifier(task, "TASK")

    async def work(platform: Platform, out: Output) -> None:
        found = await platform.api.task(wanted)
        if found.state.is_final:
            raise OrchestratorError(ErrorCode.CONFLICT, f"{found.id} is {found.state.value} already.")
        accepted = await platform.cancel(found)
        out.document(accepted)
        out.say(f"{found.id}: {accepted.message or 'asked to cancel'}")
        out.say(f"Next: orchestrator task watch {found.id}")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def logs(task: TaskArgument, as_json: AsJson = False) -> None:
    """All events of a task, then the text of its artifacts (transcripts, test reports, playbook output)."""
    from cli import inputs, session
    from cli.logs import point_below, show_artifacts, show_events

    wanted = inputs.identifier(task, "TASK")

    async def work(platform: Platform, out: Output) -> None:
        found = await platform.api.task(wanted)
        await show_events(platform.api, found, out)
        await show_artifacts(platform.api, found, out)
        await point_below(platform.api, found, out)

    session.run(work, as_json=as_json)


def _describe(task: TaskDTO, out: Output) -> None:
    from cli.tables import stall_note
    from cli.watching import show_ending

    out.facts(
        [
            ("Task", task.id),
            ("Kind", task.kind.value),
            ("Title", task.title),
            ("State", task.state.value),
            ("Stage", task.stage),
            ("Waiting for", task.waiting_for),
            ("Stalled", stall_note(task)),
            ("Project", task.project_id),
            ("Parent", task.parent_task_id),
            ("Workflow", task.workflow_id),
            ("Started", task.created_at.astimezone().isoformat(timespec="seconds")),
            ("Changed", task.updated_at.astimezone().isoformat(timespec="seconds")),
            ("Artifacts", "\n           ".join(f"{ref.uri} ({ref.size_bytes} bytes)" for ref in task.artifacts)),
        ]
    )
    show_ending(task, out)
