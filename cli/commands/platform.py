"""`orchestrator up|down|status|demo|doctor|web-ui`: the platform as a whole."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson

if TYPE_CHECKING:
    from cli.output import Output
    from cli.platform import Platform


class ChatLanguage(StrEnum):
    EN = "en"
    RU = "ru"


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when everything is ready.")] = False,
    port_base: Annotated[
        int | None,
        typer.Option("--port-base", metavar="PORT", help="API on PORT, Web UI on PORT+1, Temporal on PORT+2."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Start what is missing of the platform, in numbered steps; Ctrl-C stops it in order."""
    import asyncio

    from cli import inputs
    from cli.endpoints import effective_settings
    from cli.output import Output
    from cli.stack import bring_up

    inputs.on_this_host("up")
    return asyncio.run(bring_up(effective_settings(port_base), Output(as_json=as_json), detach=detach))


def down(
    services: Annotated[bool, typer.Option("--services", help="Stop deployed services as well.")] = False,
    as_json: AsJson = False,
) -> int:
    """Stop all parts of this home, in order. Deployed services keep running; a second call changes nothing."""
    import asyncio

    from cli import inputs
    from cli.endpoints import effective_settings
    from cli.output import Output
    from cli.stack import take_down

    inputs.on_this_host("down")
    return asyncio.run(take_down(effective_settings(), Output(as_json=as_json), services=services))


def status(as_json: AsJson = False) -> int:
    """Parts with their health, URLs, work in progress and open questions; ends with 6 when a part is missing."""
    import asyncio

    from cli import inputs
    from cli.endpoints import effective_settings
    from cli.output import Output
    from cli.platform_status import show_status

    inputs.on_this_host("status")
    return asyncio.run(show_status(effective_settings(), Output(as_json=as_json)))


def demo(
    sentence: Annotated[str, typer.Argument(metavar="[SENTENCE]", help="What to build.")] = "",
    chat: Annotated[
        bool, typer.Option("--chat", help="Talk to the bot in an emulated Telegram, here in the terminal.")
    ] = False,
    language: Annotated[
        ChatLanguage, typer.Option(help="With --chat: the language of the person who talks.")
    ] = ChatLanguage.EN,
    as_json: AsJson = False,
) -> int:
    """From a sentence to a URL that answers: brings the platform up if needed, and shows every step."""
    import asyncio

    from cli import inputs
    from cli.chat_demo import run_chat
    from cli.demo import run_demo
    from cli.endpoints import effective_settings
    from cli.output import Output

    inputs.on_this_host("demo")
    wish = inputs.text(sentence, "The sentence")
    if chat:
        return asyncio.run(run_chat(effective_settings(), wish, language.value, Output(as_json=as_json)))
    return asyncio.run(run_demo(effective_settings(), wish, Output(as_json=as_json)))


def doctor(as_json: AsJson = False) -> int:
    """Each part: found, version, reachable, what to do. Ends with 1 when something needed is missing."""
    import asyncio

    from cli import inputs
    from cli.doctor import examine
    from cli.endpoints import effective_settings
    from cli.output import Output

    inputs.on_this_host("doctor")
    return asyncio.run(examine(effective_settings(), Output(as_json=as_json)))


def web_ui(as_json: AsJson = False) -> None:
    """Print a link that logs one browser in to the Temporal Web UI; needs an administrator's key."""
    from cli import session

    async def work(platform: Platform, out: Output) -> None:
        ticket = await platform.api.web_ui_ticket()
        out.document(ticket)
        out.say(ticket.url)
        out.say(f"Works once, until {ticket.expires_at:%H:%M} UTC; the login lasts 12 hours.")

    session.run(work, as_json=as_json)
