"""`orchestrator delivery …`"""

from cli.client import session
from cli.client.starting import tell_started
from cli.commands.wishes import project_of_wish, wish_fields
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import (
    Agent,
    Approval,
    AsJson,
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
from contracts.nouns import DeliveryStart
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
    approve: Approval = None,
    request_id: RequestId = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> int:
    """Build what you describe and put it online. Give a sentence, a spec or both."""
    fields = wish_fields(wish, spec, title, agent, max_rounds, request_id)

    async def work(api: ApiClient, out: Output) -> int:
        found = await project_of_wish(api, project, fields)
        body = inputs.build(DeliveryStart, project_id=found.id, require_approval=approve, **fields)
        return await tell_started(api, out, api.start_delivery(body), watch=watch)

    return session.run(work, as_json=as_json)
