"""`orchestrator engineering …`"""

from cli.client import session
from cli.client.projects import find_project
from cli.client.starting import tell_started
from cli.commands.wishes import project_of_wish, wish_fields
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import (
    Agent,
    AsJson,
    ProjectArgument,
    ProjectOption,
    RequestId,
    Rounds,
    SpecFile,
    Title,
    Watch,
    Wish,
    command_group,
)
from cli.terminal.output import Output
from cli.terminal.tables import show_open_questions, show_tasks
from contracts.nouns import EngineeringStart, TaskList
from contracts.states import TaskKind
from runtime.api_client import ApiClient

app = command_group()


@app.command(epilog=EPILOG)
def start(
    project: ProjectOption,
    wish: Wish = "",
    spec: SpecFile = None,
    title: Title = None,
    agent: Agent = None,
    max_rounds: Rounds = None,
    request_id: RequestId = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> int:
    """Build and test what you describe, without putting it online. Give a sentence, a spec or both."""
    fields = wish_fields(wish, spec, title, agent, max_rounds, request_id)

    async def work(api: ApiClient, out: Output) -> int:
        found = await project_of_wish(api, project, fields)
        body = inputs.build(EngineeringStart, project_id=found.id, **fields)
        return await tell_started(api, out, api.start_engineering(body), watch=watch)

    return session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def status(project: ProjectArgument, as_json: AsJson = False) -> None:
    """List a project's engineering tasks, newest first."""

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        tasks = [task for task in await api.tasks(project_id=found.id) if task.kind is TaskKind.ENGINEERING]
        out.document(TaskList(items=tasks))
        show_tasks(tasks, out, {found.id: found.name})
        if not out.as_json:
            show_open_questions(await api.questions(project_id=found.id), out)

    session.run(work, as_json=as_json)
