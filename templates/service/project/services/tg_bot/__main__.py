"""`python -m services.tg_bot`: poll Telegram and answer HTTP on HOST and PORT until told to stop."""

import asyncio
import logging
import sys

from services.environment import SettingsError
from services.tg_bot.app import run
from services.tg_bot.settings import Settings


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return asyncio.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())
