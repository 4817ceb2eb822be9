"""Containers where Docker can be used, processes where not, and the reason in words."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from activities.adapters.agents.wrapped import MODEL_PLACE
from activities.adapters.containers.engine import Bind
from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import Queue
from runtime.runtime_report import RuntimeReport
from runtime.settings import Settings
from workers import local


def settings(tmp_path: Path, runtime: Literal["auto", "docker", "process"]) -> Settings:
    return Settings(home=tmp_path, runtime=runtime)


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_everything_runs_as_processes(tmp_path: Path) -> None:
    choice = local.choose(settings(tmp_path, "auto"))
    assert not choice.in_containers
    assert "no.sock" in choice.reason or "answer" in choice.reason


@pytest.mark.usefixtures("no_engine")
def test_containers_that_are_asked_for_and_cannot_be_had_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError) as refused:
        local.choose(settings(tmp_path, "docker"))
    assert refused.value.code is ErrorCode.SETTINGS_INVALID
    assert "make docker" in refused.value.message


def test_processes_that_are_asked_for_are_given_whatever_docker_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "obstacle", lambda *_, **__: None)
    assert not local.choose(settings(tmp_path, "process")).in_containers
    assert local.choose(settings(tmp_path, "auto")).in_containers


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("runtime", ["auto", "docker"])
def test_open_work_in_containers_waits_for_an_engine_that_is_down(
    tmp_path: Path, runtime: Literal["auto", "docker"]
) -> None:
    chosen = settings(tmp_path, runtime)
    RuntimeReport(work="containers", services="containers", reason="an earlier start").write(chosen.runtime_report_file)
    assert local.choose(chosen).in_containers
    assert not local.choose(settings(tmp_path, "process")).in_containers


def test_open_work_in_processes_ends_there_before_containers_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "obstacle", lambda *_, **__: None)
    chosen = settings(tmp_path, "auto")
    RuntimeReport(work="processes", services="processes", reason="an earlier start").write(chosen.runtime_report_file)
    workspace = tmp_path / "agents" / "workspaces" / "eng-1"
    workspace.mkdir(parents=True)
    assert not local.choose(chosen).in_containers
    workspace.rmdir()
    assert local.choose(chosen).in_containers


@pytest.mark.usefixtures("no_engine")
def test_a_process_without_agents_asks_no_engine_when_the_server_is_elsewhere(tmp_path: Path) -> None:
    elsewhere = Settings(home=tmp_path, runtime="docker", server="deploy@server:2222")
    assert not local.choose(elsewhere, [Queue.ORCHESTRATOR]).in_containers
    assert not local.choose(elsewhere, [Queue.INFRA]).in_containers
    for settings_, queue in ((elsewhere, Queue.AGENTS), (settings(tmp_path, "docker"), Queue.INFRA)):
        with pytest.raises(OrchestratorError):
            local.choose(settings_, [queue])


def test_with_compose_the_models_socket_is_in_the_volume_that_the_engine_knows(tmp_path: Path) -> None:
    there = settings(tmp_path, "docker").model_copy(update={"model_volume": "codegen-orchestrator-models"})
    assert local._model_place(there) == Bind("codegen-orchestrator-models", MODEL_PLACE, read_only=True)
    assert not (tmp_path / "sockets").exists()


def test_on_one_machine_the_models_socket_is_in_the_home(tmp_path: Path) -> None:
    place = local._model_place(settings(tmp_path, "docker"))
    assert (place.source, place.host_path, place.read_only) == (str(tmp_path / "sockets" / "model"), True, True)
