import re

import pytest
from fastapi.testclient import TestClient
from sqlmodel import SQLModel

from services.backend.settings import Settings
from services.environment import SettingsError


def test_health_names_the_service_and_the_release(client: TestClient, settings: Settings) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "service": settings.app_name, "release": "test"}


def test_the_first_page_says_what_it_is(client: TestClient, settings: Settings) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert settings.app_name in answer.text
    assert "/docs" in answer.text


def test_the_page_of_the_api_shows_every_route_and_loads_nothing(client: TestClient) -> None:
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page
    used = re.findall(r"""(?:src|href|action)=["']?([^"'\s>]+)""", page)
    assert all(address.startswith(("/", "#")) for address in used)
    assert "<script" not in page
    assert "url(" not in page


def test_the_admin_status_needs_the_admin_token(client: TestClient) -> None:
    assert client.get("/admin/status").status_code == 401
    answer = client.get("/admin/status", headers={"Authorization": "Bearer test-token"})
    assert set(answer.json()["rows"]) == set(SQLModel.metadata.tables)


def test_production_refuses_to_start_without_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.delenv("ADMIN_TOKEN", raising=False)
    with pytest.raises(SettingsError, match="ADMIN_TOKEN"):
        Settings.from_env()


@pytest.mark.parametrize("port", ["0", "65536", "eighty", "-1"])
def test_a_bad_port_is_refused(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(SettingsError, match="PORT"):
        Settings.from_env()
