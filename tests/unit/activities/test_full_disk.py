"""Git on a full disk: the disk is asked, because a repository may hold the same words."""

import subprocess
from pathlib import Path

import pytest

from activities.adapters.forge import git
from activities.adapters.forge.git import Git
from contracts.errors import OWN_OUTAGES, ErrorCode, OrchestratorError

WORDS = "No space left on device"


@pytest.fixture(autouse=True)
def repository(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)


async def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, full: bool) -> OrchestratorError:
    monkeypatch.setattr(git, "is_full", lambda place: full and place == tmp_path)
    with pytest.raises(OrchestratorError) as caught:
        await Git(tmp_path).run("checkout", WORDS)
    return caught.value


async def test_git_without_room_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failed(tmp_path, monkeypatch, full=True)
    assert error.code in OWN_OUTAGES
    assert error.retryable
    assert str(tmp_path) in error.message


async def test_a_name_in_a_repository_that_sounds_like_it_is_no_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = await failed(tmp_path, monkeypatch, full=False)
    assert error.code is ErrorCode.GIT_FAILED
    assert WORDS in error.message
