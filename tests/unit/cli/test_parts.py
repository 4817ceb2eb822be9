"""What each part of a platform is told: no more than it needs."""

from pathlib import Path

import pytest

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
