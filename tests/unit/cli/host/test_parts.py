"""What each part of a platform is told: no more than it needs."""

import os
from pathlib import Path

import pytest

from cli.host.doctor import _without_a_key
from cli.host.parts import Parts
from runtime.settings import load_settings

PASSWORD = "a-password-of-the-database"
URL = f"postgresql://me:{PASSWORD}@database/orchestrator"


@pytest.mark.parametrize("variable", ["DATABASE_URL", "ORCHESTRATOR_DATABASE_URL", "database_url"])
def test_only_the_api_knows_the_password_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, URL)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    parts = Parts(load_settings())
    assert PASSWORD in parts.command("api").env["DATABASE_URL"]
    for name in ("workers", "temporal"):
        command = parts.command(name)
        assert PASSWORD not in repr(command.env), name
        assert PASSWORD not in repr(command.argv), name


@pytest.mark.parametrize(
    ("address", "reach"),
    [("", "every program on this machine"), ("temporal.test:7233", "whoever reaches temporal.test")],
)
def test_what_anybody_can_do_with_temporal_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, reach: str
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "absent.toml"))
    monkeypatch.setenv("TEMPORAL_ADDRESS", address) if address else monkeypatch.delenv(
        "TEMPORAL_ADDRESS", raising=False
    )
    parts = Parts(load_settings())
    assert parts.without_a_key.startswith(reach)
    assert "list ids, hold up, reset, cancel and terminate work" in parts.without_a_key
    finding = _without_a_key(parts)
    assert (finding.verdict, finding.found) == ("optional", parts.without_a_key)
    assert "docs/security.md" in finding.advice


KEY = "sk-ant-a-real-key-of-a-vendor"


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ORCHESTRATOR_ANTHROPIC_API_KEY", "anthropic_api_key"])
def test_only_the_model_proxy_gets_the_key_for_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, KEY)
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    parts = Parts(load_settings())
    assert parts.names == ["temporal", "api", "model-proxy", "workers"]
    proxy = parts.command("model-proxy")
    assert (proxy.argv[-1], proxy.env["DATABASE_URL"]) == ("api.model_proxy", parts.database_url)
    assert KEY in proxy.env.values()
    for name in ("api", "workers", "temporal"):
        command = parts.command(name)
        assert KEY not in command.env.values(), name
    assert parts.command("api").env["ORCHESTRATOR_AGENT"] == "claude-code"


def test_without_a_key_there_is_no_model_proxy_and_the_script_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "")
    parts = Parts(load_settings())
    assert "model-proxy" not in parts.names
    assert "ORCHESTRATOR_AGENT" not in parts.module("workers").env
    parts.settings.processes_dir.mkdir(parents=True)
    parts.stored_model_keys = True
    assert "model-proxy" in parts.names
    parts.stored_model_keys = False
    assert "model-proxy" not in parts.names
    parts.book.write("model-proxy", os.getpid())
    assert "model-proxy" in parts.names, "one that was started with a key runs, whoever looks"


def test_an_agent_that_was_chosen_stays_with_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert load_settings().agent_for_new_work == "codex"
    monkeypatch.setenv("ORCHESTRATOR_AGENT", "scripted")
    assert Parts(load_settings()).module("api").env["ORCHESTRATOR_AGENT"] == "scripted"
