"""`python -m api [serve | migrate | bootstrap | rotate-vault-key]`."""

import argparse
import asyncio
import sys

from api import migrate
from api.app import create_app
from api.bootstrap import bootstrap
from api.database import make_engine, make_sessions
from api.edge import server
from api.vault import Vault
from contracts.errors import OrchestratorError
from contracts.wording import counted
from runtime import keyring
from runtime.embedded import postgres
from runtime.observability.logging import configure_logging
from runtime.settings import Settings, database_address, load_settings


def main() -> int:
    """Exit codes: 0 done, 1 refused with a reason on stderr, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m api", description="The HTTP API of the orchestrator.")
    parser.add_argument(
        "command",
        nargs="?",
        default="serve",
        choices=["serve", "migrate", "bootstrap", "rotate-vault-key"],
        help="serve: answer HTTP (default). migrate: bring the schema up to date. bootstrap: migrate, then make the "
        "keys, the first admin and the local server. rotate-vault-key: re-wrap every secret's key with a new one.",
    )
    arguments = parser.parse_args()
    try:
        settings = load_settings()
        configure_logging(settings, "api")
        _run(arguments.command, settings)
    except OrchestratorError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


def _run(command: str, settings: Settings) -> None:
    url = database_url(settings)
    if command == "serve":
        serve(settings, url)
    elif command == "migrate":
        asyncio.run(migrate.upgrade(url))
    elif command == "bootstrap":
        asyncio.run(_bootstrap(settings, url))
    else:
        changed = asyncio.run(rotate_vault_key(settings, url))
        sys.stdout.write(f"Re-encrypted the keys of {counted(changed, 'secret')} with a new key.\n")


def database_url(settings: Settings) -> str:
    """DATABASE_URL, else the embedded server's; starts nothing."""
    return database_address(settings) or postgres.prepare(settings.postgres_dir, settings.postgres_port).url


def serve(settings: Settings, url: str) -> None:
    """Answer HTTP until SIGTERM or SIGINT."""
    # A missing key file is reported here in one line; during the server's start it would be a traceback.
    for path in (settings.vault_key_file, settings.codec_key_file):
        keyring.KeyRing.load(path)
    server.serve(create_app(settings, database_url=url), settings)


async def _bootstrap(settings: Settings, url: str) -> None:
    await migrate.upgrade(url)
    await bootstrap(settings, url)


async def rotate_vault_key(settings: Settings, url: str) -> int:
    """Add a new master key and put every secret's data key under it. Running processes notice it by themselves."""
    keyring.rotate(settings.vault_key_file)
    engine = make_engine(url)
    try:
        async with make_sessions(engine).begin() as session:
            return await Vault(keyring.KeyRing.load(settings.vault_key_file)).rewrap(session)
    finally:
        await engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
