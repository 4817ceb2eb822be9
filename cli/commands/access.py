"""`orchestrator user …` and `orchestrator token …`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import EPILOG
from cli.options import AsJson, ProjectArgument

if TYPE_CHECKING:
    from cli.output import Output
    from cli.platform import Platform

user = typer.Typer(help="People who may use this platform.", no_args_is_help=True, epilog=EPILOG)
token = typer.Typer(help="Short-lived tokens for agents.", no_args_is_help=True, epilog=EPILOG)


class PersonRole(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"


@user.command(epilog=EPILOG)
def add(
    user_id: Annotated[int, typer.Argument(metavar="USER_ID", help="Telegram user id.")],
    name: Annotated[str, typer.Option(help="A name for people.")] = "",
    role: Annotated[PersonRole, typer.Option(help="What the person may do.")] = PersonRole.MEMBER,
    as_json: AsJson = False,
) -> None:
    """Add a person. The API key is shown once."""
    from cli import inputs, session
    from contracts.nouns import UserCreate

    body = inputs.build(UserCreate, user_id=user_id, role=role.value, name=inputs.text(name, "The name", 200))

    async def work(platform: Platform, out: Output) -> None:
        made = await platform.api.create_user(body)
        out.document(made)
        out.say(f"Added user {made.user.user_id} as {made.user.role.value}.")
        out.say(f"API key (shown only now): {made.api_key}")
        out.say(
            "Next, in that person's shell: export ORCHESTRATOR_API_URL=<URL of this API> ORCHESTRATOR_TOKEN=<the key>"
        )

    session.run(work, as_json=as_json)


@user.command("list", epilog=EPILOG)
def list_users(as_json: AsJson = False) -> None:
    """List people and their roles."""
    from cli import session

    async def work(platform: Platform, out: Output) -> None:
        found = await platform.api.users()
        out.document({"items": [item.model_dump(mode="json") for item in found]})
        rows = [(item.user_id, item.role.value, item.name) for item in found]
        out.table(("USER", "ROLE", "NAME"), rows, empty="No users.")

    session.run(work, as_json=as_json)


@token.command(epilog=EPILOG)
def create(
    project: ProjectArgument,
    command: Annotated[
        list[str], typer.Option("--command", "-c", help="An allowed command such as `task.show`; repeat for several.")
    ],
    ttl: Annotated[int, typer.Option("--ttl", min=10, max=86_400, help="Seconds to live.")] = 3600,
    as_json: AsJson = False,
) -> None:
    """Create a token for one project and a few commands. It is shown once."""
    from cli import inputs, session
    from cli.lookup import find_project
    from contracts.nouns import TokenRequest

    async def work(platform: Platform, out: Output) -> None:
        found = await find_project(platform.api, project)
        body = inputs.build(TokenRequest, project_id=found.id, commands=command, ttl_s=ttl)
        made = await platform.api.create_token(body)
        out.document(made)
        out.facts(
            [
                ("Token", made.token),
                ("Until", made.expires_at.astimezone().isoformat(timespec="seconds")),
                ("Commands", ", ".join(made.commands)),
            ]
        )

    session.run(work, as_json=as_json)
