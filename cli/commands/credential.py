"""`orchestrator credential …`"""

from typing import Annotated

import typer

from cli.client import session
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import AsJson, command_group
from cli.terminal.output import Output
from cli.terminal.tables import moment
from contracts.access import CredentialDTO, CredentialList
from contracts.states import CredentialKind
from runtime.access_client import AccessApi

app = command_group()


@app.command("list", epilog=EPILOG)
def list_credentials(
    user: Annotated[int | None, typer.Option("--user", metavar="USER_ID", help="Only this person's.")] = None,
    kind: Annotated[CredentialKind | None, typer.Option(help="Only of this kind.")] = None,
    include_ended: Annotated[bool, typer.Option("--all", help="Include what has ended or expired.")] = False,
    as_json: AsJson = False,
) -> None:
    """List keys, agents' tokens, login links and browsers' logins: yours; an administrator sees everybody's."""

    async def work(api: AccessApi, out: Output) -> None:
        found = await api.credentials(
            include_ended=include_ended,
            user_id=None if user is None else str(user),
            kind=None if kind is None else kind.value,
        )
        out.document(CredentialList(items=found))
        headers = ("CREDENTIAL", "KIND", "USER", "MADE", "UNTIL", "NOTE")
        out.table(headers, [_row(item) for item in found], empty="Nothing.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def end(
    credential: Annotated[str, typer.Argument(metavar="CREDENTIAL", help="Its id, from `credential list`.")],
    as_json: AsJson = False,
) -> None:
    """End a key, token, link or login, and all that was made with it. It never works again."""
    wanted = inputs.identifier(credential, "CREDENTIAL id")

    async def work(api: AccessApi, out: Output) -> None:
        ended = await api.end_credential(wanted)
        out.document(ended)
        out.say(f"Ended the {ended.kind.value} {ended.id} of user {ended.user_id}, and what was made with it.")

    session.run(work, as_json=as_json)


def _row(item: CredentialDTO) -> tuple[object, ...]:
    until = "ended" if item.ended_at else moment(item.expires_at) if item.expires_at else "for good"
    note = item.name or item.project_id or item.address
    return (item.id, item.kind.value, item.user_id, moment(item.created_at), until, note)
