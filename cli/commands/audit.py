"""`orchestrator audit …`"""

from typing import Annotated

import typer

from cli.client import session
from cli.terminal.exits import EPILOG
from cli.terminal.options import AsJson, command_group
from cli.terminal.output import Output
from cli.terminal.tables import moment
from contracts.access import AuditEntry, AuditList
from runtime.access_client import AccessApi

app = command_group()


@app.callback()
def audit() -> None:
    """Who did what."""


@app.command("list", epilog=EPILOG)
def list_entries(
    user: Annotated[int | None, typer.Option("--user", metavar="USER_ID", help="Only of this person.")] = None,
    action: Annotated[
        str | None, typer.Option(metavar="ACTION", help="Such as `user.remove`; `user` means all that begin with it.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="ID", help="What it was done to, such as a project's id.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List who did what, with what, from where, and how it ended; for administrators. Nobody can change it."""

    async def work(api: AccessApi, out: Output) -> None:
        wanted = {"user_id": None if user is None else str(user), "action": action, "target": target}
        found = await api.audit(limit, **wanted)
        out.document(AuditList(items=found))
        headers = ("WHEN", "USER", "WITH", "FROM", "ACTION", "ON", "RESULT", "DETAILS")
        out.table(headers, [_row(item) for item in found], empty="No entries.")

    session.run(work, as_json=as_json)


def _row(item: AuditEntry) -> tuple[object, ...]:
    details = " ".join(f"{name}={value}" for name, value in item.details.items())
    who = "platform" if item.user_id is None else item.user_id
    return (moment(item.at), who, item.credential, item.address, item.action, item.target, item.result, details)
