"""An unavailable engine differs from a refusal: the first is waited for, the second is not."""

import os
import sys
from pathlib import Path

import pytest
import requests
from docker import errors

from activities.adapters.containers import command as docker
from activities.adapters.containers.engine import DockerContainerEngine, _api_error
from activities.adapters.release import containers, engine_socket
from activities.adapters.release.containers import build_image
from activities.adapters.release.directory import ProjectPlace
from contracts.errors import ErrorCode, OrchestratorError


def says(directory: Path, monkeypatch: pytest.MonkeyPatch, error: str, happened: str = "") -> None:
    """`docker` refuses with this error; `happened` is what it tells of events."""
    program = directory / "docker"
    program.write_text(f"#!/bin/sh\n[ \"$1\" = events ] && echo '{happened}' && exit\necho '{error}' >&2\nexit 1\n")
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


FAILED = "The command 'x' returned a non-zero code: 1"


@pytest.mark.parametrize(
    ("last", "happened", "code"),
    [
        (FAILED, "", ErrorCode.PLAYBOOK_FAILED),
        (FAILED, "untag another_blog", ErrorCode.PLAYBOOK_FAILED),
        (FAILED, "untag ", ErrorCode.PLAYBOOK_LOST),
        (FAILED, "untag another_blog\nprune ", ErrorCode.PLAYBOOK_LOST),
        ("error during connect: Post http://docker/build: EOF", "", ErrorCode.DOCKER_UNREACHABLE),
    ],
    ids=["its own fault", "a release of another project goes", "the base image goes", "pruned", "no engine"],
)
async def test_a_build_that_fails_is_final_unless_the_engine_was_lost_or_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, happened: str, code: ErrorCode
) -> None:
    async def knows_nothing(_method: str, path: str, *_: object) -> object:
        return {"DockerRootDir": str(tmp_path)} if path == "/info" else []

    monkeypatch.setattr(engine_socket, "call", knows_nothing)
    says(tmp_path, monkeypatch, f"SyntaxError: unexpected EOF\n{last.replace(chr(39), chr(34))}", happened)
    context = tmp_path / "context.tar"
    context.write_bytes(b"an archive")
    with pytest.raises(OrchestratorError) as refused:
        await build_image(ProjectPlace(tmp_path / "blog"), "rel-1", "a" * 40, context, 30.0)
    assert refused.value.code is code
    assert refused.value.retryable is (code is not ErrorCode.PLAYBOOK_FAILED)


async def test_a_build_whose_network_was_away_is_tried_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def knows_nothing(_method: str, path: str, *_: object) -> object:
        return {"DockerRootDir": str(tmp_path)} if path == "/info" else []

    async def is_there(_path: str) -> object:
        return {"Id": "sha256:1f"}

    monkeypatch.setattr(engine_socket, "call", knows_nothing)
    monkeypatch.setattr(engine_socket, "find", is_there)
    says(tmp_path, monkeypatch, "Temporary failure in name resolution")
    program = tmp_path / "docker"
    program.write_text(program.read_text().replace("exit 1", f"mkdir {tmp_path}/failed && exit 1\nexit 0"))
    context = tmp_path / "context.tar"
    context.write_bytes(b"an archive")
    assert await build_image(ProjectPlace(tmp_path / "blog"), "rel-1", "a" * 40, context, 30.0) == "sha256:1f"
    assert (tmp_path / "failed").exists()


async def test_what_was_removed_from_the_engine_is_made_again_by_the_next_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`docker system prune` removes a container between its creation and its start."""

    class Pruned:
        def start(self, name: str) -> None:
            raise errors.NotFound("gone", requests.Response(), f"No such container: {name}")

    engine = DockerContainerEngine()
    monkeypatch.setattr(engine, "_connected", Pruned())
    with pytest.raises(OrchestratorError) as gone:
        await engine.start("test-1")
    assert (gone.value.code, gone.value.retryable) == (ErrorCode.NOT_FOUND, True)


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (500, "write /var/lib/docker/tmp/x: no space left on device", ErrorCode.DOCKER_DISK_FULL),
        (500, "mkdir /var/lib/docker/overlay2/ab: No space left on device", ErrorCode.DOCKER_DISK_FULL),
        (500, "something else", ErrorCode.PROCESS_FAILED),
        (400, "no space left on device is a strange name", ErrorCode.PROCESS_FAILED),
    ],
)
def test_an_engine_without_room_is_waited_for(status: int, said: str, code: ErrorCode) -> None:
    reply = requests.Response()
    reply.status_code = status
    error = _api_error(errors.APIError("refused", reply, said))
    assert error.code is code
    assert error.retryable is (status == 500)


@pytest.mark.parametrize(("free", "names", "full"), [(10, 10**6, True), (10**6, 5, True), (10**6, 10**6, False)])
async def test_a_failed_build_on_a_full_server_is_no_fault_of_the_project(
    monkeypatch: pytest.MonkeyPatch, free: int, names: int, full: bool
) -> None:
    """What the build printed does not decide: a project may print anything."""

    async def info(*_: object) -> dict[str, str]:
        return {"DockerRootDir": "/var/lib/docker"}

    monkeypatch.setattr(containers.engine, "call", info)
    facts = os.statvfs_result((4096, 4096, 10**7, free, free, 10**7, names, names, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: facts)
    if not full:
        await containers._refuse_full_disk()
        return
    with pytest.raises(OrchestratorError) as refused:
        await containers._refuse_full_disk()
    assert (refused.value.code, refused.value.retryable) == (ErrorCode.DOCKER_DISK_FULL, True)
