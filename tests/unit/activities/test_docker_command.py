"""An unavailable engine differs from a refusal: the first is waited for, the second is not."""

from pathlib import Path

import pytest

from activities.adapters.containers import command as docker
from contracts.errors import ErrorCode, OrchestratorError


def says(directory: Path, monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    program = directory / "docker"
    program.write_text(f"#!/bin/sh\necho '{error}' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


@pytest.mark.parametrize(
    "error",
    [
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "error during connect: Post http://docker/v1.41/exec/1/start: EOF",
    ],
)
async def test_an_engine_that_is_down_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    says(tmp_path, monkeypatch, error)
    with pytest.raises(OrchestratorError) as refused:
        await docker.run("inspect", "server")
    assert refused.value.code is ErrorCode.DOCKER_UNREACHABLE
    assert refused.value.retryable


async def test_what_the_engine_refuses_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says(tmp_path, monkeypatch, "Error response from daemon: Conflict.")
    with pytest.raises(OrchestratorError) as refused:
        await docker.run("create", "server")
    assert refused.value.code is ErrorCode.PROCESS_FAILED
    assert not refused.value.retryable


async def test_what_the_engine_does_not_know_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says(tmp_path, monkeypatch, "Error: No such object: server")
    assert (await docker.try_run("inspect", "server")).absent
