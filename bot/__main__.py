"""`python -m bot`: the Telegram bot; SIGINT or SIGTERM ends it."""

import asyncio
import contextlib
import signal
import sys

from bot.run import run
from contracts.errors import OrchestratorError
from runtime.observability.logging import configure_logging
from runtime.settings import Settings, load_settings


def main() -> int:
    """Exit codes: 0 after a signal, 1 if the bot could not start; stderr has the reason."""
    try:
        settings = load_settings()
        configure_logging(settings, "bot")
        asyncio.run(_until_stopped(settings))
    except OrchestratorError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


async def _until_stopped(settings: Settings) -> None:
    running = asyncio.create_task(run(settings))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    sys.exit(main())
