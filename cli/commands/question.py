"""`orchestrator question …` and `orchestrator answer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import EPILOG
from cli.options import AnyProject, AsJson, QuestionArgument, ValueFile

if TYPE_CHECKING:
    from cli.output import Output
    from cli.platform import Platform

app = typer.Typer(help="What workflows ask people.", no_args_is_help=True, epilog=EPILOG)


@app.command("list", epilog=EPILOG)
def list_questions(
    project: AnyProject = None,
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List open questions."""
    from cli import session
    from cli.lookup import find_project
    from cli.tables import show_questions
    from contracts.nouns import QuestionList

    async def work(platform: Platform, out: Output) -> None:
        wanted = None if project is None else (await find_project(platform.api, project)).id
        found = await platform.api.questions(project_id=wanted, state=None if every else "open")
        out.document(QuestionList(items=found))
        show_questions(found, out)

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def show(question: QuestionArgument, as_json: AsJson = False) -> None:
    """Show a question with its choices, and how to answer it."""
    from cli import inputs, session
    from cli.tables import show_question

    wanted = inputs.identifier(question, "QUESTION")

    async def work(platform: Platform, out: Output) -> None:
        found = await platform.api.question(wanted)
        out.document(found)
        show_question(found, out)

    session.run(work, as_json=as_json)


def answer(
    question: QuestionArgument,
    answer_text: Annotated[str, typer.Argument(metavar="[ANSWER]", help="A choice or a sentence.")] = "",
    secret: Annotated[
        str | None,
        typer.Option("--secret", metavar="NAME", help="Answer with a secret, read from a prompt or standard input."),
    ] = None,
    value_file: ValueFile = None,
    answer_id: Annotated[
        str | None, typer.Option("--answer-id", metavar="ID", help="Your own id: repeating it is the same answer.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question. The first valid answer wins; a secret goes to the store and never into a workflow."""
    from cli import inputs, session, starting
    from contracts.nouns import AnswerRequest

    wanted = inputs.identifier(question, "QUESTION")
    reply = inputs.text(answer_text, "The answer")
    identity = starting.request_id(answer_id)
    secrets = {} if secret is None else {secret: inputs.secret_value(value_file, f"Value of {secret}")}
    if not reply.strip() and not secrets:
        raise inputs.refuse(f"Give an answer, or --secret NAME. `orchestrator question show {wanted}` shows what.")
    body = inputs.build(AnswerRequest, answer_id=identity, text=reply, secrets=secrets)

    async def work(platform: Platform, out: Output) -> None:
        found = await platform.api.question(wanted)
        complete = body if found.plan_hash is None else body.model_copy(update={"plan_hash": found.plan_hash})
        accepted = await platform.answer(found, complete)
        out.document(accepted)
        out.say(accepted.message or f"Answered {found.id}.")
        out.say(f"Next: orchestrator task watch {found.task_id}")

    session.run(work, as_json=as_json)
