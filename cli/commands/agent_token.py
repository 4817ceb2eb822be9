"""`orchestrator token …`"""

from typing import Annotated

import typer

from cli.client import session
from cli.client.projects import find_project
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import AsJson, ProjectArgument, command_group
from cli.terminal.output import Output
from contracts.nouns import TokenRequest
from runtime.api_client import ApiClient

app = command_group()


@app.command(epilog=EPILOG)
def create(
    project: ProjectArgument,
    command: Annotated[
        list[str],
        typer.Option("--command", "-c", help="A command the token may use, such as `task.show`. May be repeated."),
    ],
    ttl: Annotated[int, typer.Option("--ttl", min=10, max=86_400, help="How many seconds the token is valid.")] = 3600,
    as_json: AsJson = False,
) -> None:
    """Create a token for one project and a few commands. It is shown only once."""

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        made = await api.create_token(inputs.build(TokenRequest, project_id=found.id, commands=command, ttl_s=ttl))
        out.document(made)
        out.facts(
            [
                ("Token", made.token),
                ("Works until", made.expires_at.astimezone().isoformat(timespec="seconds")),
                ("Commands", ", ".join(made.commands)),
            ]
        )

    session.run(work, as_json=as_json)
