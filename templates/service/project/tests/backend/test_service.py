import pytest
from fastapi.testclient import TestClient

from services.backend.app import create_app
from services.backend.database import Table, prepare
from services.backend.settings import Settings, SettingsError


def test_health_names_the_service_and_the_release(client: TestClient, settings: Settings) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "service": settings.app_name, "release": "test"}


def test_data_outlives_a_restart(settings: Settings) -> None:
    with TestClient(create_app(settings)) as first:
        created = first.post("/examples", json={"title": "kept"}).json()
    with TestClient(create_app(settings)) as second:
        assert second.get(f"/examples/{created['id']}").json() == created


def test_a_new_release_adds_its_columns_to_an_existing_table(settings: Settings) -> None:
    prepare(settings.data_dir, [Table("things", {"title": "TEXT NOT NULL DEFAULT ''"})])
    newer = Table("things", {"title": "TEXT NOT NULL DEFAULT ''", "done": "INTEGER"})
    prepare(settings.data_dir, [newer])
    prepare(settings.data_dir, [newer])


@pytest.mark.parametrize("value", ['"\\ud800"', "Infinity", "1", "[]"])
def test_a_refused_value_answers_422_even_when_it_fits_no_json(
    client: TestClient, value: str
) -> None:
    body = f'{{"title": {value}}}'
    answer = client.post("/examples", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "title"]


def test_the_admin_status_needs_the_admin_token(client: TestClient) -> None:
    assert client.get("/admin/status").status_code == 401
    answer = client.get("/admin/status", headers={"Authorization": "Bearer test-token"})
    assert answer.json()["rows"]["examples"] == 0


def test_production_refuses_to_start_without_its_secrets() -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY, ADMIN_TOKEN"):
        Settings.from_env({"APP_ENV": "production"})


@pytest.mark.parametrize("port", ["0", "65536", "eighty", "-1"])
def test_a_bad_port_is_refused(port: str) -> None:
    with pytest.raises(SettingsError, match="PORT"):
        Settings.from_env({"PORT": port})
