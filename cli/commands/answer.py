"""`orchestrator answer`"""

from typing import Annotated

import typer

from cli.client import session
from cli.client.watching import known_task
from cli.terminal import inputs
from cli.terminal.options import AsJson, QuestionArgument, ValueFile
from cli.terminal.output import Output
from cli.terminal.tables import chosen
from contracts.nouns import AnswerRequest
from runtime.api_client import ApiClient


def answer(
    question: QuestionArgument,
    answer_text: Annotated[
        str, typer.Argument(metavar="ANSWER", help="One of the choices or its number, or a sentence.")
    ] = "",
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret", metavar="NAME", help="Answer with a secret. Its value is typed at a prompt or piped in."
        ),
    ] = None,
    value_file: ValueFile = None,
    answer_id: Annotated[
        str | None,
        typer.Option("--answer-id", metavar="ID", help="Your own id. Using it again changes nothing."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    wanted = inputs.identifier(question, "QUESTION")
    reply = inputs.text(answer_text, "The answer")
    identity = inputs.request_id(answer_id)
    secrets = {} if secret is None else {secret: inputs.secret_value(value_file, f"Value of {secret}")}
    if not reply.strip() and not secrets:
        raise inputs.refuse(f"Give an answer or --secret NAME. `orchestrator question show {wanted}` shows how.")
    body = inputs.build(AnswerRequest, answer_id=identity, text=reply, secrets=secrets)

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.question(wanted)
        # A workflow refuses an answer that was meant for an earlier plan.
        meant = {"text": chosen(body.text, found.choices), "plan_hash": found.plan_hash}
        accepted = await api.answer(found.id, body.model_copy(update=meant))
        out.document(accepted)
        out.tell(accepted.message or f"Answered {found.id}.")
        if not out.as_json:
            out.advise(f"Next: orchestrator task watch {await known_task(api, found.task_id)}")

    session.run(work, as_json=as_json)
