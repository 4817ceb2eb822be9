"""An unavailable engine differs from a refusal: the first is waited for, the second is not."""

import sys
from pathlib import Path

import pytest

from activities.adapters.containers import command as docker
from activities.adapters.release import engine_socket
from activities.adapters.release.containers import build_image
from activities.adapters.release.directory import ProjectPlace
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


async def test_of_a_program_that_writes_without_end_only_the_end_is_kept(tmp_path: Path) -> None:
    script = "for n in range(300_000): print(n)\nimport sys; print('bad', file=sys.stderr); sys.exit(3)"
    reply = await docker.run_program([sys.executable, "-c", script], keep=100)
    assert (reply.code, len(reply.output), reply.error) == (3, 100, "bad\n")
    assert reply.text.endswith("299998\n299999")


@pytest.mark.parametrize(
    ("error", "cut_off"),
    [
        ("Step 3\nerror during connect: Post http://docker/build: EOF\n", True),
        ("unexpected EOF\n", True),
        ("#9 x\nERROR: failed to receive status: rpc error: code = Unavailable desc = EOF", True),
        ("unexpected EOF\nerror during connect\nThe command 'python -c (' returned a non-zero code: 1", False),
        ("The command '/bin/sh -c cat <<EOF docker.sock: connect' returned a non-zero code: 2", False),
        ('ERROR: failed to solve: process "echo EOF" did not complete successfully: exit code: 1', False),
    ],
)
def test_what_a_build_writes_is_not_taken_for_a_lost_engine(error: str, cut_off: bool) -> None:
    assert docker.Reply(1, b"", error).cut_off is cut_off


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ("The command 'x' returned a non-zero code: 1", ErrorCode.PLAYBOOK_FAILED),
        ("error during connect: Post http://docker/build: EOF", ErrorCode.DOCKER_UNREACHABLE),
    ],
)
async def test_a_build_that_fails_is_final_unless_the_engine_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, code: ErrorCode
) -> None:
    async def knows_nothing(*_arguments: object, **_options: object) -> list[object]:
        return []

    monkeypatch.setattr(engine_socket, "call", knows_nothing)
    says(tmp_path, monkeypatch, f"SyntaxError: unexpected EOF\n{last.replace(chr(39), chr(34))}")
    context = tmp_path / "context.tar"
    context.write_bytes(b"an archive")
    with pytest.raises(OrchestratorError) as refused:
        await build_image(ProjectPlace(tmp_path / "blog"), "rel-1", "a" * 40, context, 30.0)
    assert refused.value.code is code
