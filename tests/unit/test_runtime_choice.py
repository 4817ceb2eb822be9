"""Containers where Docker can be used, processes where not, and the reason in words."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from contracts.errors import ErrorCode, OrchestratorError
from runtime.settings import Settings
from workers import local


def settings(tmp_path: Path, runtime: Literal["auto", "docker", "process"]) -> Settings:
    return Settings(home=tmp_path, runtime=runtime)


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_everything_runs_as_processes(tmp_path: Path) -> None:
    assert not local.uses_docker(settings(tmp_path, "auto"))


@pytest.mark.usefixtures("no_engine")
def test_containers_that_are_asked_for_and_cannot_be_had_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError) as refused:
        local.uses_docker(settings(tmp_path, "docker"))
    assert refused.value.code is ErrorCode.SETTINGS_INVALID
    assert "make docker" in refused.value.message


def test_processes_that_are_asked_for_are_given_whatever_docker_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "obstacle", lambda *_, **__: None)
    assert not local.uses_docker(settings(tmp_path, "process"))
    assert local.uses_docker(settings(tmp_path, "auto"))
