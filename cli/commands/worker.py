"""`orchestrator worker …`"""

from pathlib import Path
from typing import Annotated

import typer

from cli.client import session, workers
from cli.client.projects import find_project_id, project_names
from cli.terminal import inputs
from cli.terminal.exits import EPILOG, ExitCode
from cli.terminal.options import Agent, AnyProject, AsJson, command_group
from cli.terminal.output import Output
from contracts import ids
from contracts.base import new_id
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentProfile
from contracts.worker_nouns import (
    AgentWorkerDTO,
    AgentWorkerList,
    WorkerBudgetRaise,
    WorkerCreate,
    WorkerFile,
    WorkerMessage,
    WorkerRequest,
    WorkerSteer,
)
from runtime.api_client import ApiClient

app = command_group()

_MAX_FILE = 100_000
WorkerArgument = Annotated[str, typer.Argument(metavar="WORKER", help="Id of the agent worker.")]
Message = Annotated[str, typer.Argument(metavar="MESSAGE", help="What you want to tell the agent.")]


@app.command(epilog=EPILOG)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name for people.")],
    agent: Agent = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", metavar="PROJECT", help="Work on this project's code.")
    ] = None,
    login: Annotated[
        bool, typer.Option("--login", help="Use your own log-in at the agent's vendor (`orchestrator agent login`).")
    ] = False,
    capabilities: Annotated[
        list[str] | None,
        typer.Option("--capability", metavar="NAME", help="More than its own programs: browser, github, postgresql."),
    ] = None,
    profile: Annotated[
        AgentProfile, typer.Option(help="What it works as: which commands it has inside of a turn.")
    ] = AgentProfile.DEVELOPER,
    idle_s: Annotated[
        int | None, typer.Option("--idle", min=60, metavar="SECONDS", help="It ends after so long without a message.")
    ] = None,
    own_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Your own id (w-…). Using it again is the same worker.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an agent that you talk to. Nothing runs before its first message."""

    async def work(api: ApiClient, out: Output) -> None:
        body = inputs.build(
            WorkerCreate,
            worker_id=own_id or ids.new_worker_id(),
            name=name,
            agent=agent,
            project_id=await find_project_id(api, project),
            mount_session_volume=login,
            capabilities=capabilities or [],
            profile=profile,
            idle_expiry_s=idle_s,
        )
        made = await api.create_worker(body)
        out.document(made)
        out.say(f"{made.id}: {made.agent.value}, {made.state.value}.")
        if "github" in body.capabilities:
            out.say("It has gh without a credential: it reads what is public, if egress_hosts name api.github.com.")
        out.advise(f'Next: orchestrator worker send {made.id} "what it should do"')

    session.run(work, as_json=as_json)


@app.command("list", epilog=EPILOG)
def list_workers(
    project: AnyProject = None,
    every: Annotated[bool, typer.Option("--all", help="Include those that have ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """List agent workers, newest first: yours, and those of tasks."""

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.workers(project_id=await find_project_id(api, project), include_ended=every)
        out.document(AgentWorkerList(items=found))
        workers.show_table(found, out, await project_names(api))

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def show(worker: WorkerArgument, as_json: AsJson = False) -> None:
    """Show an agent worker: its state, session, cost, branch, and the turn that runs now."""
    wanted = inputs.identifier(worker, "WORKER")

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.worker(wanted)
        out.document(found)
        workers.show_facts(found, out)

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def logs(
    worker: WorkerArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it has ended.")] = False,
    transcripts: Annotated[
        bool, typer.Option("--transcripts/--no-transcripts", help="Also print what its turns have left.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Print what it has done, then the transcripts of its turns."""
    wanted = inputs.identifier(worker, "WORKER")

    async def work(api: ApiClient, out: Output) -> None:
        after = await workers.show_new(api, wanted, 0, out)
        if follow:
            await workers.follow(api, wanted, after, out)
        elif transcripts:
            await workers.show_transcripts(api, await api.worker(wanted), out)

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def send(
    worker: WorkerArgument,
    message: Message,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show the turn until it has ended.")] = True,
    timeout_s: Annotated[int, typer.Option("--timeout", min=1, max=86_400, help="Seconds for the turn.")] = 3600,
    request_id: Annotated[
        str | None, typer.Option("--request-id", metavar="ID", help="Your own id. Using it again is the same turn.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Send a message: one turn. Messages are taken in order, each by one turn."""
    wanted = inputs.identifier(worker, "WORKER")
    text = inputs.text(message, "MESSAGE")
    body = inputs.build(WorkerMessage, request_id=inputs.request_id(request_id), message=text, timeout_s=timeout_s)

    async def work(api: ApiClient, out: Output) -> int:
        if not wait:
            out.document(await api.send_worker_message(wanted, body))
            out.advise(f"Sent as {body.request_id}. Next: orchestrator worker logs {wanted} --follow")
            return ExitCode.OK
        reply = await workers.send(api, await api.worker(wanted), body, out)
        out.document(reply)
        response = reply.response
        assert response is not None
        if not response.success:
            failed = response.error or response.response or "The turn failed."
            out.say(f"The turn ended without success: {failed}", style="bold red")
            return ExitCode.FAILED
        asked = response.outcome.question if response.outcome else None
        out.say(asked or response.response or "Done.")
        if asked:
            out.advise(f'It asks. Answer: orchestrator worker send {wanted} "your answer"')
        return ExitCode.OK

    return session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def file(
    worker: WorkerArgument,
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A text file of this machine.")],
    to: Annotated[str | None, typer.Option("--to", metavar="PATH", help="Where in its workspace.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put a file into its workspace, between two turns."""
    wanted = inputs.identifier(worker, "WORKER")
    content = inputs.read_file(source, "The file", _MAX_FILE)
    body = inputs.build(WorkerFile, request_id=new_id(), path=to or source.name, content=content)

    async def work(api: ApiClient, out: Output) -> None:
        answer = await api.send_worker_file(wanted, body)
        out.document(answer)
        if not answer.success:
            raise OrchestratorError(ErrorCode.INVALID_INPUT, answer.error or "The file was not written.")
        out.say(f"{body.path} is in the workspace of {wanted}.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def steer(worker: WorkerArgument, message: Message, as_json: AsJson = False) -> None:
    """Tell the agent something while its turn runs."""
    wanted = inputs.identifier(worker, "WORKER")
    body = inputs.build(WorkerSteer, request_id=new_id(), message=inputs.text(message, "MESSAGE"))

    async def work(api: ApiClient, out: Output) -> None:
        answer = await api.steer_worker(wanted, body)
        out.document(answer)
        if not answer.success:
            raise OrchestratorError(ErrorCode.CONFLICT, answer.error or "The agent was not told.")
        out.say(f"Turn {answer.turn} of {wanted} has it.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def stop(worker: WorkerArgument, as_json: AsJson = False) -> None:
    """Stop the turn that runs. The agent worker stays: its next message goes on in the same session."""
    wanted = inputs.identifier(worker, "WORKER")

    async def work(api: ApiClient, out: Output) -> None:
        answer = await api.stop_worker_turn(wanted, WorkerRequest(request_id=new_id()))
        if answer.turn is None:
            out.document(answer)
            out.say(f"No turn of {wanted} runs.")
            return
        found = await workers.turn_ended(api, wanted)
        out.document(answer)
        out.say(f"Turn {answer.turn} has ended; {wanted} is {found.state.value}.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def budget(
    worker: WorkerArgument,
    add: Annotated[float, typer.Option("--add", metavar="USD", help="By so much it may spend more.")],
    as_json: AsJson = False,
) -> None:
    """Let an agent worker spend more on models, when its budget is used up."""
    wanted = inputs.identifier(worker, "WORKER")
    body = inputs.build(WorkerBudgetRaise, request_id=new_id(), add_usd=add)

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.raise_worker_budget(wanted, body)
        out.document(found)
        limit = "as much as it likes" if found.limit_usd is None else f"${found.limit_usd:.2f}"
        out.say(f"{wanted} may spend {limit}; ${found.spent_usd:.2f} are spent.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def delete(worker: WorkerArgument, as_json: AsJson = False) -> None:
    """End an agent worker: its turn is stopped, its workspace goes, what was pushed to its branch stays."""
    wanted = inputs.identifier(worker, "WORKER")

    async def work(api: ApiClient, out: Output) -> None:
        out.document(await api.delete_worker(wanted))
        out.say(f"{wanted} ends.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def shell(worker: WorkerArgument, as_json: AsJson = False) -> None:
    """Print how to get its work in progress onto your machine, and how to give it back."""
    wanted = inputs.identifier(worker, "WORKER")

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.worker(wanted)
        out.document(found)
        _say_how_to_take_over(found, out)

    session.run(work, as_json=as_json)


def _say_how_to_take_over(found: AgentWorkerDTO, out: Output) -> None:
    if found.branch is None or found.clone_url is None:
        out.say(f"{found.id} works in a folder without a repository: there is nothing to fetch.")
        return
    if found.commit is None:
        out.say("Nothing was pushed yet: its first turn does that.")
    local = found.branch.replace("/", "-")
    out.say(
        "In a clone of the project (Git asks for a user name, which may be anything, and for a password: your API key;"
    )
    out.say("on the platform's machine the administrator's is in keys/admin.key of its home):")
    out.say(f"  git fetch {found.clone_url} {found.branch}:{local}")
    out.say(f"  git switch {local}")
    out.say("Give back what you have committed:")
    out.say(f"  git push {found.clone_url} {local}:{found.branch}")
    out.say("Its next turn begins with what you have pushed. If that does not fit its own work, it is told to merge.")
