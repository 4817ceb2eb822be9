"""`python -m emulators.time4vps --port PORT`: an emulated account with two machines; SIGINT or SIGTERM ends it."""

import argparse
import asyncio
import signal
import sys

from emulators.time4vps.account import Account
from emulators.time4vps.faults import Faults
from emulators.time4vps.server import serving


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m emulators.time4vps", description="An emulator of Time4VPS's API for servers."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one and prints the URL")
    arguments = parser.parse_args()
    account = Account()
    account.add(1001, ip="203.0.113.10")
    account.add(1002, ip="203.0.113.11")
    asyncio.run(_serve(account, arguments.host, arguments.port))
    return 0


async def _serve(account: Account, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(account, Faults(), host=host, port=port) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
