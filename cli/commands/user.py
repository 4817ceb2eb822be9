"""`orchestrator user …`"""

from enum import StrEnum
from typing import Annotated

import typer

from cli.client import session
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import AsJson, command_group
from cli.terminal.output import Output
from contracts.nouns import UserCreate
from runtime.api_client import ApiClient

app = command_group()


class PersonRole(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"


@app.command(epilog=EPILOG)
def add(
    user_id: Annotated[int, typer.Argument(metavar="USER_ID", help="The person's Telegram user id.")],
    name: Annotated[str, typer.Option(help="The person's name, shown in lists.")] = "",
    role: Annotated[
        PersonRole, typer.Option(help="Members see their own projects; administrators see all.")
    ] = PersonRole.MEMBER,
    as_json: AsJson = False,
) -> None:
    """Add a person and print their API key. It is shown only once."""
    body = inputs.build(UserCreate, user_id=user_id, role=role.value, name=inputs.text(name, "The name", 200))

    async def work(api: ApiClient, out: Output) -> None:
        made = await api.create_user(body)
        out.document(made)
        out.say(f"Added user {made.user.user_id} as {made.user.role.value}.")
        out.say(f"API key (shown only now): {made.api_key}")
        out.say(
            "Next, in that person's shell: export ORCHESTRATOR_API_URL=<URL of this API> ORCHESTRATOR_TOKEN=<the key>"
        )

    session.run(work, as_json=as_json)


@app.command("list", epilog=EPILOG)
def list_users(as_json: AsJson = False) -> None:
    """List people and their roles."""

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.users()
        out.document({"items": [item.model_dump(mode="json") for item in found]})
        rows = [(item.user_id, item.role.value, item.name) for item in found]
        out.table(("USER", "ROLE", "NAME"), rows, empty="No users.")

    session.run(work, as_json=as_json)
