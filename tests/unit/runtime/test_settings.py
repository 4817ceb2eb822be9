"""Settings: read once, explained when wrong, silent about secrets, and without any effect on the disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentKind
from runtime.settings import database_address, load_settings

NAMES = (
    "DATABASE_URL",
    "ORCHESTRATOR_DATABASE_URL",
    "ORCHESTRATOR_DATABASE_PASSWORD_FILE",
    "ORCHESTRATOR_HOME",
    "ORCHESTRATOR_SERVER",
    "ORCHESTRATOR_UI_UPSTREAM",
    "ORCHESTRATOR_BUILD",
    "XDG_DATA_HOME",
)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_defaults_live_under_the_users_data_home_and_nothing_is_made(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.home == tmp_path / ".local" / "share" / "codegen-orchestrator"
    assert settings.codec_key_file == settings.home / "keys" / "payload.json"
    assert settings.api_url == "http://127.0.0.1:8180"
    assert list(tmp_path.iterdir()) == []


def test_xdg_data_home_and_orchestrator_home_move_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert load_settings().forge_dir == Path("/data/codegen-orchestrator/forge")
    monkeypatch.setenv("ORCHESTRATOR_HOME", "/srv/orchestrator")
    assert load_settings().forge_dir == Path("/srv/orchestrator/forge")


def test_the_agent_is_scripted_until_another_one_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().agent == AgentKind.SCRIPTED
    monkeypatch.setenv("ORCHESTRATOR_AGENT", "factory-droid")
    assert load_settings().agent == AgentKind.FACTORY_DROID


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
@pytest.mark.parametrize("name", ["DATABASE_URL", "ORCHESTRATOR_DATABASE_URL"])
def test_a_database_url_of_any_usual_form_becomes_an_asyncpg_url(
    monkeypatch: pytest.MonkeyPatch, name: str, scheme: str
) -> None:
    monkeypatch.setenv(name, f"{scheme}://user:hidden@db/name")
    url = load_settings().database_url
    assert url is not None
    assert url.get_secret_value() == "postgresql+asyncpg://user:hidden@db/name"
    assert "hidden" not in repr(load_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORCHESTRATOR_API_PORT", "eighty"),
        ("ORCHESTRATOR_API_PORT", "70000"),
        ("ORCHESTRATOR_HOME", "relative/path"),
        ("ORCHESTRATOR_LOG_LEVEL", "chatty"),
        ("ORCHESTRATOR_AGENT", "parrot"),
        ("DATABASE_URL", "mysql://user:hidden@db/name"),
        ("ORCHESTRATOR_PUBLIC_URL", "orchestrator.example.test"),
        ("ORCHESTRATOR_PUBLIC_URL", "https://example.test/below/a/path"),
        ("ORCHESTRATOR_PROXY_USERS", "alice"),
        ("ORCHESTRATOR_PROXY_USERS", "alice=admin"),
        ("ORCHESTRATOR_PROXY_USER_HEADER", "not a header"),
        ("ORCHESTRATOR_PROXY_SECRET", "hidden"),
        ("ORCHESTRATOR_TRUSTED_PROXIES", "proxy.example.test"),
    ],
)
def test_a_bad_value_is_explained_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(OrchestratorError) as caught:
        load_settings()
    assert caught.value.code == ErrorCode.SETTINGS_INVALID
    assert name in caught.value.message
    assert "Correct the variable" in caught.value.message
    assert "hidden" not in caught.value.message


def test_a_port_range_upside_down_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_SERVICE_PORT_MIN", "19000")
    with pytest.raises(OrchestratorError, match="ORCHESTRATOR_SERVICE_PORT_MIN is above"):
        load_settings()


def test_a_proxy_is_described_in_plain_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_PUBLIC_URL", "https://Example.test/")
    monkeypatch.setenv("ORCHESTRATOR_TRUSTED_PROXIES", "10.0.0.5, 192.168.7.0/24,fd00::/8")
    monkeypatch.setenv("ORCHESTRATOR_PROXY_USERS", "alice@example.test=1, cn=bob=42")
    settings = load_settings()
    assert settings.site_url == "https://example.test"
    assert [str(one) for one in settings.trusted_proxies] == ["10.0.0.5/32", "192.168.7.0/24", "fd00::/8"]
    assert settings.proxy_users == {"alice@example.test": 1, "cn=bob": 42}


@pytest.mark.parametrize("proxies", ["127.0.0.1", "::1", "0.0.0.0/0"])
def test_a_proxy_on_this_host_needs_a_secret_and_every_proxy_a_public_address(
    monkeypatch: pytest.MonkeyPatch, proxies: str
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_TRUSTED_PROXIES", proxies)
    with pytest.raises(OrchestratorError, match="needs ORCHESTRATOR_PUBLIC_URL"):
        load_settings()
    monkeypatch.setenv("ORCHESTRATOR_PUBLIC_URL", "https://example.test")
    with pytest.raises(OrchestratorError, match="needs ORCHESTRATOR_PROXY_SECRET"):
        load_settings()
    monkeypatch.setenv("ORCHESTRATOR_PROXY_SECRET", "hidden and long enough")
    assert "hidden" not in repr(load_settings())


def test_an_unknown_name_in_a_settings_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "orchestrator.env"
    file.write_text("ORCHESTRATOR_API_PORT=9000\nDATABASE_URL=postgresql://u:p@h/d\n")
    assert load_settings(file).api_port == 9000
    file.write_text("ORCHESTRATOR_API_PROT=9000\n")
    with pytest.raises(OrchestratorError, match="ORCHESTRATOR_API_PROT: there is no such setting"):
        load_settings(file)


def test_a_settings_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError, match=r"nowhere\.env does not exist"):
        load_settings(tmp_path / "nowhere.env")


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().api_port = 1


def test_the_runtime_modules_that_the_command_line_imports_do_not_load_temporal() -> None:
    names = ("settings", "observability.logging", "temporal.client", "embedded.dev_server", "embedded.postgres")
    modules = ", ".join(f"runtime.{name}" for name in names)
    script = f"import sys, {modules}; print([m for m in ('temporalio', 'asyncpg') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_password_of_the_database_may_be_in_a_file_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://orchestrator@postgres:5432/orchestrator")
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    with pytest.raises(OrchestratorError) as refused:
        database_address(load_settings())
    assert "ORCHESTRATOR_DATABASE_PASSWORD_FILE" in refused.value.message
    (tmp_path / "password").write_text("a/b@c\n")
    expected = "postgresql+asyncpg://orchestrator:a%2Fb%40c@postgres:5432/orchestrator"
    assert database_address(load_settings()) == expected
    assert "a/b@c" not in repr(load_settings())


def test_without_a_database_url_the_embedded_server_is_meant() -> None:
    assert database_address(load_settings()) is None


def test_a_web_ui_elsewhere_replaces_the_one_of_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().ui_url == "http://127.0.0.1:8233/temporal"
    monkeypatch.setenv("ORCHESTRATOR_UI_UPSTREAM", "http://temporal-ui:8080")
    assert load_settings().ui_url == "http://temporal-ui:8080/temporal"


@pytest.mark.parametrize("address", ["server", "deploy@", "deploy@host:ssh", "-o@host", "deploy@-host", "a b@host"])
def test_a_server_is_user_at_host(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("ORCHESTRATOR_SERVER", address)
    with pytest.raises(OrchestratorError) as refused:
        load_settings()
    assert "ORCHESTRATOR_SERVER" in refused.value.message


def test_the_build_is_a_part_of_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "+build1" not in load_settings().version
    monkeypatch.setenv("ORCHESTRATOR_BUILD", "build1")
    assert load_settings().version.endswith("+build1")
