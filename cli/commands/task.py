"""`orchestrator task …`"""

from pathlib import Path
from typing import Annotated

import typer

from cli.client import session
from cli.client.logs import point_below, show_artifacts, show_events
from cli.client.projects import find_project_id, project_names
from cli.client.starting import tell_started
from cli.client.watching import follow, show_ending
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import Agent, AnyProject, AsJson, SpecFile, TaskArgument, Watch, command_group
from cli.terminal.output import Output
from cli.terminal.plans import cost_line, part_lines
from cli.terminal.tables import show_tasks, stall_note
from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import SCREENSHOT
from contracts.nouns import TaskDTO, TaskList
from contracts.retries import TaskRetry
from contracts.states import TaskState
from contracts.wording import counted
from runtime.api_client import ApiClient

app = command_group()


@app.command("list", epilog=EPILOG)
def list_tasks(
    project: AnyProject = None,
    state: Annotated[TaskState | None, typer.Option(help="Only tasks in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many to show at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List tasks, newest first."""

    async def work(api: ApiClient, out: Output) -> None:
        wanted = await find_project_id(api, project)
        tasks = await api.tasks(project_id=wanted, state=state and state.value, limit=limit)
        out.document(TaskList(items=tasks))
        show_tasks(tasks, out, await project_names(api))

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def show(task: TaskArgument, as_json: AsJson = False) -> None:
    """Show a task: its state and stage, its result or error, and its artifacts."""
    wanted = inputs.identifier(task, "TASK")

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.task(wanted)
        out.document(found)
        _describe(found, out)

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def watch(
    task: TaskArgument,
    after: Annotated[int, typer.Option(min=0, help="Skip the steps up to the one printed with this number.")] = 0,
    as_json: AsJson = False,
) -> int:
    """Follow a task until it ends. Exits with 1 if it failed or was cancelled."""
    wanted = inputs.identifier(task, "TASK")

    async def work(api: ApiClient, out: Output) -> int:
        return await follow(api, wanted, out, after=after, prompts=True)

    return session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def cancel(task: TaskArgument, as_json: AsJson = False) -> None:
    """Cancel a task. Its state is `cancelled` once everything has stopped."""
    wanted = inputs.identifier(task, "TASK")

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.task(wanted)
        if found.state.is_final:
            raise OrchestratorError(ErrorCode.CONFLICT, f"{found.id} is already {found.state.value}.")
        accepted = await api.cancel_task(wanted)
        out.document(accepted)
        out.say(f"{found.id}: {accepted.message or 'The work is being stopped.'}")
        out.advise(f"Next: orchestrator task watch {found.id}")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def retry(
    task: TaskArgument,
    agent: Agent = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The model that the agent uses.")] = None,
    advice: Annotated[str, typer.Option(metavar="TEXT", help="What the agent is told in addition.")] = "",
    spec: SpecFile = None,
    skip_review: Annotated[bool, typer.Option("--skip-review", help="Leave out the review.")] = False,
    watch: Watch = False,
    as_json: AsJson = False,
) -> int:
    """Go on with a task that failed or was stopped. What it had finished is not done again."""
    wanted = inputs.identifier(task, "TASK")
    body = inputs.build(
        TaskRetry,
        agent=agent,
        model=model,
        advice=inputs.text(advice, "The advice"),
        spec=inputs.spec(spec),
        skip=["review"] if skip_review else [],
    )

    async def work(api: ApiClient, out: Output) -> int:
        return await tell_started(api, out, api.retry_task(wanted, body), watch=watch)

    return session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def logs(task: TaskArgument, as_json: AsJson = False) -> None:
    """Print a task's events, then its artifacts: transcripts, test reports, logs of deploys."""
    wanted = inputs.identifier(task, "TASK")

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.task(wanted)
        await show_events(api, found, out)
        await show_artifacts(api, found, out)
        await point_below(api, found, out)

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def screenshots(
    task: TaskArgument,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Where to save them.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Save the screenshots of a task's result, and print where they are."""
    wanted = inputs.identifier(task, "TASK")

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.task(wanted)
        uris = [str(uri) for name, uri in sorted(found.result.items()) if name.startswith(SCREENSHOT)]
        if not uris:
            raise OrchestratorError(ErrorCode.NOT_FOUND, f"{found.id} has no screenshots.")
        for number, uri in enumerate(uris, start=1):
            file = to / f"{found.id}-{number}.png"
            file.write_bytes(await api.picture(uri))
            out.document({"screenshot": uri, "path": str(file.resolve())})
            out.say(str(file.resolve()))

    session.run(work, as_json=as_json)


def _describe(task: TaskDTO, out: Output) -> None:
    artifacts = [f"{ref.uri} ({counted(ref.size_bytes, 'byte')})" for ref in task.artifacts]
    out.facts(
        [
            ("Task", task.id),
            ("Kind", task.kind.value),
            ("Title", task.title),
            ("State", task.state.value),
            ("Stage", task.stage),
            ("Waiting for", task.waiting_for),
            ("Stalled", stall_note(task)),
            (task.subject.kind.value.capitalize(), task.subject.id),
            ("Parent", task.parent_task_id),
            ("Workflow", task.workflow_id),
            ("Started", task.created_at.astimezone().isoformat(timespec="seconds")),
            ("Parts", "\n           ".join(part_lines(task))),
            ("Cost", cost_line(task.cost, ended=task.state.is_final)),
            ("Changed", task.updated_at.astimezone().isoformat(timespec="seconds")),
            ("Artifacts", "\n           ".join(artifacts)),
        ]
    )
    show_ending(task, out, plan=False)
