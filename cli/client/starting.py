"""What all `start` commands share: start, say what was started, follow it when asked."""

from collections.abc import Awaitable

from cli.client.watching import appeared, follow
from cli.terminal.exits import ExitCode
from cli.terminal.output import Output
from contracts.nouns import StartedTask
from runtime.api_client import ApiClient


async def tell_started(api: ApiClient, out: Output, starting: Awaitable[StartedTask], *, watch: bool) -> ExitCode:
    """Print the task once it is started, and with `watch` follow it until it ends."""
    started = await starting
    out.document(started)
    out.say(_sentence(started))
    if started.web_url:
        out.say(f"In the Web UI: {started.web_url}")
    if not watch:
        out.advise(f"Next: orchestrator task watch {started.task_id}")
        return ExitCode.OK
    await appeared(api, started)
    return await follow(api, started.task_id, out, prompts=True)


def _sentence(started: StartedTask) -> str:
    if started.joined:
        return f"{started.task_id} was started before and does exactly this; nothing new was started."
    if started.queued:
        return f"{started.task_id} waits behind another deploy of this project."
    return f"Started {started.task_id}."
