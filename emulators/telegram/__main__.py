"""`python -m emulators.telegram --port PORT`: an emulated Telegram in its own process; SIGINT or SIGTERM ends it."""

import argparse
import asyncio
import signal
import sys

from emulators.telegram.server import serving
from emulators.telegram.telegram import Telegram


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m emulators.telegram", description="An emulator of Telegram's Bot API."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one and prints the URL")
    parser.add_argument("--token", default=Telegram.token, help="the token of its only bot")
    arguments = parser.parse_args()
    asyncio.run(_serve(Telegram(token=arguments.token), arguments.host, arguments.port))
    return 0


async def _serve(telegram: Telegram, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(telegram, host=host, port=port) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
