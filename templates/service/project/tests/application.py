"""The application with an empty database: for tests of routes and of pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from services.backend import database, migrate
from services.backend.app import create_app
from services.backend.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, release_id="test", admin_token="test-token")


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """An empty database with the schema of today."""
    engine = database.engine(settings.data_dir)
    migrate.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def client(settings: Settings, engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(settings, engine)) as running:
        yield running
