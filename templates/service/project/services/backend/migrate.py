"""`python -m services.backend.migrate`: bring the schema of the database up to this release."""

import logging
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from services.backend import database
from services.backend.settings import Settings
from services.environment import SettingsError

MIGRATIONS = Path(__file__).parent / "migrations"

log = logging.getLogger(__name__)


def upgrade(engine: Engine) -> None:
    """All or nothing, one process at a time; a second run changes nothing.

    A schema that a newer release has made stays as it is: migrations only add, so this release can use it.
    """
    with engine.connect() as connection:
        # SQLite's driver opens no transaction for changes of the schema by itself.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        if _is_known(connection):
            command.upgrade(config(connection), "head")
        else:
            log.warning("the schema is of a newer release and stays as it is")
        connection.commit()


def config(connection: Connection) -> Config:
    """Settings of Alembic for work on this connection."""
    found = Config(attributes={"connection": connection})
    found.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return found


def _is_known(connection: Connection) -> bool:
    present = MigrationContext.configure(connection).get_current_heads()
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    return known.issuperset(present)


def main() -> int:
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    upgrade(database.engine(settings.data_dir))
    return 0


if __name__ == "__main__":
    sys.exit(main())
