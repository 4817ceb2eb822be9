"""`python -m services.backend`: serve on HOST and PORT until told to stop."""

import sys

import uvicorn

from services.backend.app import create_app
from services.backend.settings import Settings, SettingsError


def main() -> int:
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
