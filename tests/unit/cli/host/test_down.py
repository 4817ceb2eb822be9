"""After `down` the platform is not there to stop services: what is advised then must not need it."""

import os
import sys
from pathlib import Path

import pytest

from cli.host.down import down
from cli.host.parts import API
from cli.host.processes import Command, ProcessBook
from contracts.errors import ErrorCode, OrchestratorError
from runtime.settings import Settings
from tests.support.ports import any_free

WORKS = "`ORCHESTRATOR_HOME={0} orchestrator up --detach && ORCHESTRATOR_HOME={0} orchestrator down --services`"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("ORCHESTRATOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    monkeypatch.setenv("ORCHESTRATOR_API_PORT", str(any_free()))
    return tmp_path


def test_what_is_advised_after_down_brings_the_platform_back_first(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings()
    command = Command([sys.executable, "-c", "import signal; signal.pause()"], dict(os.environ), home)
    ProcessBook(settings.processes_dir, settings.logs_dir).start(API, command)
    assert down() == 0
    said = capsys.readouterr().out
    assert f"Deployed services keep running. To stop them too: {WORKS.format(home)}" in said
    assert down() == 0
    assert "services" not in capsys.readouterr().out, "nothing was running"


def test_stopping_services_of_a_platform_that_is_down_says_what_works(home: Path) -> None:
    (home / "keys").mkdir(mode=0o700)
    key = home / "keys" / "admin.key"
    key.write_text("orc_" + "k" * 40)
    key.chmod(0o600)
    with pytest.raises(OrchestratorError) as refused:
        down(services=True)
    assert refused.value.code is ErrorCode.API_UNREACHABLE
    assert "`orchestrator up --detach && orchestrator down --services`" in refused.value.message
