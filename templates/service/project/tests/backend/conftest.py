from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services.backend.app import create_app
from services.backend.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path, release_id="test", secret_key="test-key", admin_token="test-token"
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as running:
        yield running
