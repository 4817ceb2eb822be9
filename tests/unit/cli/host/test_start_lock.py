"""Only one `up` of a home starts parts at a time."""

import fcntl
from pathlib import Path

import pytest

from cli.host import lock
from cli.host.parts import Parts
from cli.terminal.output import Output
from contracts.errors import ErrorCode, OrchestratorError
from runtime.settings import Settings


async def _start(home: Path) -> None:
    async with lock.one_start_at_a_time(Parts(Settings(home=home)), Output(as_json=False)):
        pass


async def test_a_second_start_says_that_it_waits_and_gives_up_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lock, "_WAIT_S", 0.3)
    await _start(tmp_path)
    (file,) = tmp_path.rglob("up.lock")
    with file.open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(OrchestratorError) as caught:
            await _start(tmp_path)
    assert caught.value.code is ErrorCode.CONFLICT
    assert "Another `orchestrator up` is starting this platform" in capsys.readouterr().out
    await _start(tmp_path)


async def test_a_home_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    home = tmp_path / "a-file"
    home.write_text("")
    with pytest.raises(OrchestratorError, match="a-file cannot be used") as caught:
        await _start(home)
    assert caught.value.code is ErrorCode.SETTINGS_INVALID
