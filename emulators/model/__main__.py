"""`python -m emulators.model --port PORT`: a scripted model in its own process; SIGINT or SIGTERM ends it."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from emulators.model.model import Model
from emulators.model.scenarios import load
from emulators.model.server import serving


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m emulators.model", description="A scripted model behind the interfaces of Anthropic and OpenAI."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one and prints the URL")
    parser.add_argument("--port-file", type=Path, help="where the port is written once requests are answered")
    parser.add_argument("--key", action="append", help="a valid key; without this option every key is valid")
    parser.add_argument("--scenarios", type=Path, action="append", default=[], help="a file of named scenarios (JSON)")
    arguments = parser.parse_args()
    model = Model(keys=set(arguments.key) if arguments.key else None, named=load(*arguments.scenarios))
    asyncio.run(_serve(model, arguments.host, arguments.port, arguments.port_file))
    return 0


async def _serve(model: Model, host: str, port: int, port_file: Path | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(model, host=host, port=port) as url:
        if port_file is not None:
            _write(port_file, url.rpartition(":")[2])
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await stop.wait()


def _write(file: Path, port: str) -> None:
    """Whole or not at all: whoever waits for the file reads no half of a number."""
    draft = file.with_name(f".{file.name}.draft")
    draft.write_text(port, encoding="utf-8")
    draft.replace(file)


if __name__ == "__main__":
    sys.exit(main())
