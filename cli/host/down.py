"""`orchestrator down`: stops what runs of one home, the last started first."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from cli.client.home import settings_for
from cli.client.services import stop_all
from cli.client.session import connected
from cli.host.parts import STOP_ORDER, SUPERVISOR, Parts
from cli.terminal.exits import ExitCode
from cli.terminal.options import AsJson
from cli.terminal.output import Output
from contracts.errors import ErrorCode, OrchestratorError

_LATER = "`orchestrator up --detach && orchestrator down --services`"
"""Only the platform stops services, so that its records are right."""
_STOP_ORDER = (SUPERVISOR, *STOP_ORDER)


def down(
    services: Annotated[bool, typer.Option("--services", help="Stop deployed services as well.")] = False,
    as_json: AsJson = False,
) -> int:
    return asyncio.run(_take_down(Parts(settings_for("down")), Output(as_json=as_json), services=services))


async def _take_down(parts: Parts, out: Output, *, services: bool) -> ExitCode:
    """A second call finds nothing to stop."""
    stopped_services = await _stop_services(parts, out) if services else []
    running = {name: record.pid for name in _STOP_ORDER if (record := parts.book.record(name)) is not None}
    for name, pid in running.items():
        # The supervisor stops the other parts itself; then there is nothing left to do for them here.
        await parts.book.stop(name)
        out.say(f"Stopped {name} (pid {pid}).")
    parts.ready_file.unlink(missing_ok=True)
    if not running:
        out.say(f"Nothing is running in {parts.settings.home}.")
    elif not services:
        out.advise(f"Deployed services keep running. To stop them too: {_LATER}")
    out.document({"stopped": running, "services": stopped_services})
    return ExitCode.OK


async def _stop_services(parts: Parts, out: Output) -> list[str]:
    """Through the platform, so that its records are right."""
    try:
        return await connected(lambda api: stop_all(api, out), parts.settings)
    except OrchestratorError as error:
        if error.code not in {ErrorCode.API_UNREACHABLE, ErrorCode.TEMPORAL_UNREACHABLE}:
            raise
        raise OrchestratorError(
            error.code,
            f"The platform stops deployed services, and it does not answer. Run {_LATER}, or `orchestrator down` "
            "without --services.",
        ) from error
