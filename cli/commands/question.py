"""`orchestrator question …`"""

from typing import Annotated

import typer

from cli.client import session
from cli.client.projects import find_project_id, project_names
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import AnyProject, AsJson, QuestionArgument, command_group
from cli.terminal.output import Output
from cli.terminal.tables import show_question, show_questions
from contracts.nouns import QuestionList
from runtime.api_client import ApiClient

app = command_group()


@app.command("list", epilog=EPILOG)
def list_questions(
    project: AnyProject = None,
    every: Annotated[bool, typer.Option("--all", help="Include answered and withdrawn questions.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the questions that wait for an answer."""

    async def work(api: ApiClient, out: Output) -> None:
        wanted = await find_project_id(api, project)
        found = await api.questions(project_id=wanted, state=None if every else "open")
        out.document(QuestionList(items=found))
        show_questions(found, out, await project_names(api))

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def show(question: QuestionArgument, as_json: AsJson = False) -> None:
    """Show a question with its choices, and how to answer it."""
    wanted = inputs.identifier(question, "QUESTION")

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.question(wanted)
        out.document(found)
        show_question(found, out)

    session.run(work, as_json=as_json)
