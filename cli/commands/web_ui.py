"""`orchestrator web-ui`"""

from cli.client import session
from cli.terminal.options import AsJson
from cli.terminal.output import Output
from runtime.api_client import ApiClient


def web_ui(as_json: AsJson = False) -> None:
    async def work(api: ApiClient, out: Output) -> None:
        ticket = await api.web_ui_ticket()
        out.document(ticket)
        out.say(ticket.url)
        out.say(f"The link works once, until {ticket.expires_at:%H:%M} UTC. You then stay logged in for 12 hours.")

    session.run(work, as_json=as_json)
