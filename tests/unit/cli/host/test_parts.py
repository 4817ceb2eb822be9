"""What each part of a platform is told: no more than it needs."""

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
