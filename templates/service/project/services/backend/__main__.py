"""`python -m services.backend`: bring the schema up to date, then serve on HOST and PORT until told to stop."""

import sys

import uvicorn

from services.backend import database, migrate
from services.backend.app import create_app
from services.backend.settings import Settings
from services.environment import SettingsError


def main() -> int:
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    engine = database.engine(settings.data_dir)
    migrate.upgrade(engine)
    uvicorn.run(create_app(settings, engine), host=settings.host, port=settings.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
