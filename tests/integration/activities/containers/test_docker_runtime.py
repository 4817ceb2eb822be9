"""What only containers promise: no power over the machine, no secret in the engine's records, nothing doubled."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from activities.adapters.agents.scripted_cli import ScriptedAgent
from activities.adapters.containers import images as docker_images
from activities.adapters.containers.agent import DockerAgentRuntime
from activities.adapters.containers.engine import DockerContainerEngine, obstacle
from activities.adapters.containers.images import BASE_IMAGE, recipes
from activities.adapters.containers.runs import ContainerRuns
from activities.adapters.containers.workspaces import WORKER_LABEL
from activities.adapters.runs.states import RunStatus
from activities.adapters.verification import report as verification_report
from activities.adapters.verification import steps as verification_steps
from activities.adapters.verification.report import CheckedOutput
from contracts.departments import ScaffolderMessage
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.ids import turn_name
from tests.support.eventually import eventually
from tests.support.services.runtimes import MAKEFILE, REPOSITORY, Bench, DockerRuntime, docker

pytestmark = pytest.mark.timeout(300)


def inspected(bench: Bench, turn: int = 1) -> dict[str, dict[str, object]]:
    found: list[dict[str, dict[str, object]]] = json.loads(docker("inspect", turn_name(bench.worker, turn)))
    return found[0]


async def test_an_agent_has_no_power_over_the_machine(bench: Bench) -> None:
    await bench.prepare()
    look = (
        "id -u; grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; touch /etc/x 2>&1;"
        " touch /tmp/x && echo writable; ls /var/run/docker.sock 2>&1; mount | grep -c 'cgroup.*rw,' "
    )
    seen = await bench.told(look, turn=1)
    assert seen.startswith("1000\n")
    assert seen.count("0000000000000000") == 2
    assert "NoNewPrivs:\t1" in seen
    assert "Read-only file system" in seen
    assert "writable" in seen
    assert "docker.sock': No such file" in seen
    host = inspected(bench)["HostConfig"]
    assert (host["Memory"], host["PidsLimit"], host["Privileged"]) == (2 * 1024**3, 1024, False)
    assert (host["NetworkMode"], host["CapDrop"]) == ("none", ["ALL"])
    assert {str(mount["Type"]) for mount in inspected(bench)["Mounts"]} == {"volume"}  # type: ignore[index] # a list


REACH = """
import socket, sys, urllib.request
for url in sys.argv[1:]:
    try:
        print("reached", urllib.request.urlopen(url, timeout=20).status)
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode().strip())
    except OSError as error:
        print("nothing", type(error).__name__)
for address in ("172.17.0.1", "169.254.169.254", "1.1.1.1"):
    try:
        socket.create_connection((address, 80), 5).close()
        print("reached", address)
    except OSError as error:
        print("nothing", type(error).__name__)
"""
PLACES = "http://localhost:1/ http://172.17.0.1/ http://169.254.169.254/ http://not-listed.example/"


async def test_an_agent_reaches_nothing_without_a_list_of_hosts(bench: Bench) -> None:
    await bench.prepare()
    await bench.write("reach.py", REACH)
    seen = (await bench.told(f"python3 reach.py {PLACES}; env | grep -ci proxy", turn=1)).splitlines()
    assert seen[-1] == "0"
    assert {line.split()[0] for line in seen[:-1]} == {"nothing"}
    assert docker("ps", "--all", "--quiet", "--filter", f"name=gateway-{bench.worker}") == ""


async def test_an_agent_reaches_its_hosts_through_the_gateway_and_nothing_else(bench: Bench) -> None:
    await bench.prepare()
    await bench.write("reach.py", REACH)
    await bench.turn({"runs": [f"python3 reach.py {PLACES}"]}, egress_hosts=["*"])
    seen = bench.said[-1].partition(": ")[2].splitlines()
    assert not any(line.startswith("reached") for line in seen)
    assert [line[:3] for line in seen[1:3]] == ["403", "403"], "this machine, and the metadata of a cloud"
    assert seen[3][:3] == "502", "a name that does not exist"
    assert [line.split()[0] for line in seen[4:]] == ["nothing"] * 3, "there is no way around the gateway"
    assert docker("ps", "--all", "--quiet", "--filter", f"name=gateway-{bench.worker}") == "", "it ends with the turn"
    await bench.turn({"runs": [f"python3 reach.py {PLACES}"]}, turn=2, egress_hosts=["packages.example.net"])
    assert "not-listed.example is not among the project's egress_hosts" in bench.said[-1]
    await bench.runtime.workspaces().remove(bench.worker)
    assert docker("volume", "ls", "--quiet", "--filter", f"name={bench.worker}") == ""


async def test_the_engine_records_no_value_of_the_agents_variables(bench: Bench) -> None:
    await bench.prepare()
    variables = {"SHOP_TOKEN": "token-of-the-agent", "SHOP_NAME": "name-of-the-shop"}
    await bench.turn({"runs": ["echo $SHOP_NAME; find ~ -name '*environment*'"]}, env_vars=variables)
    assert bench.said[-1] == "0: name-of-the-shop"
    records = json.dumps(inspected(bench))
    assert "token-of-the-agent" not in records
    assert "name-of-the-shop" not in records


async def test_a_container_that_vanished_is_lost_and_never_started_again(bench: Bench) -> None:
    await bench.prepare()
    request = bench.request({"hangs": True})
    running = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow()))
    await eventually(lambda: bench.said == ["thinking"])
    docker("rm", "--force", turn_name(bench.worker, 1))
    for attempt in (running, bench.runtime.agent().run_turn(request, bench.follow())):
        with pytest.raises(OrchestratorError) as lost:
            await attempt
        assert (lost.value.code, lost.value.retryable) == (ErrorCode.AGENT_LOST, False)
    assert turn_name(bench.worker, 1) not in docker("ps", "--all", "--format", "{{.Names}}")


async def test_a_turn_that_ended_while_nobody_looked_and_was_pruned_is_not_lost(bench: Bench) -> None:
    """An engine that is killed, and `docker container prune` as soon as it is back: how it ended is in the volume."""
    await bench.prepare()
    name, outcome = turn_name(bench.worker, 1), {"status": "done", "summary": "built it"}
    request = bench.request({"waits": True, "outcome": outcome})
    attempt = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow()))
    await eventually(lambda: bench.said == ["thinking"])
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    await bench.write("go")
    assert docker("wait", name).strip() == "0"
    docker("rm", name)
    ended = await bench.runtime.agent().run_turn(request, bench.follow())
    assert (ended.status, ended.summary) == ("done", "built it")
    assert await bench.told("wc -l < ~/runs.log") == "2", "the turn was not paid for twice"


async def test_a_pruned_workspace_goes_on_where_it_was(bench: Bench) -> None:
    """`docker container prune` while a question is open: all containers of the agent worker have ended."""
    await bench.prepare()
    await bench.told("echo half > half.py", turn=1)
    _prune(bench)
    assert await bench.told("cat half.py", turn=2) == "half"
    await bench.write("notes.md")
    assert await bench.told("ls notes.md", turn=3) == "notes.md"


@pytest.mark.deep
async def test_removed_volumes_are_cloned_again_with_what_was_pushed_and_written(bench: Bench) -> None:
    base = (await bench.prepare()).base_commit
    assert base is not None
    await bench.write("TASK.md", "the task")
    await bench.told("echo x > f; git add f; git commit --quiet --message f", turn=1)
    pushed = await bench.runtime.workspaces().push(bench.pushing(base))
    _prune(bench)
    docker("volume", "rm", f"workspace-{bench.worker}", f"home-{bench.worker}")
    assert await bench.told("git rev-parse HEAD; cat f TASK.md", turn=2) == f"{pushed.commit}\nx\nthe task"
    assert (await bench.runtime.workspaces().push(bench.pushing(base))).commit == pushed.commit


@pytest.mark.deep
async def test_packages_whose_volume_was_removed_are_installed_again(bench: Bench) -> None:
    own = f"# of {bench.worker}, so that no other test has this environment\n"
    files = {"Makefile": MAKEFILE.format("$(VENV)/bin/python -c 'print(\"7 passed\")'"), "requirements.txt": own}
    before = _environments()
    assert (await bench.verify(bench.verification(files))).passed
    (name,) = _environments() - before
    docker("rm", name)
    docker("volume", "rm", name)
    assert (await bench.verify(bench.verification(files))).passed
    docker("rm", name)
    docker("volume", "rm", name)


def _environments() -> set[str]:
    return set(docker("ps", "--all", "--filter", "name=^venv-", "--format", "{{.Names}}").split())


def _prune(bench: Bench) -> None:
    """Remove the containers of this agent worker that do not run, as a prune does to all."""
    label = f"label={WORKER_LABEL}={bench.worker}"
    for name in docker("ps", "--all", "--filter", label, "--format", "{{.Names}}").split():
        docker("rm", name)


async def test_a_foreign_container_is_left_alone(bench: Bench) -> None:
    await bench.prepare()
    name = turn_name(bench.worker, 1)
    docker("create", "--name", name, BASE_IMAGE, "true")
    try:
        with pytest.raises(OrchestratorError) as refused:
            await bench.turn({})
        assert refused.value.code is ErrorCode.CONFLICT
        assert "Created" in docker("ps", "--all", "--filter", f"name={name}", "--format", "{{.Status}}")
    finally:
        docker("rm", "--force", name)


async def test_what_the_agent_planted_does_not_run_outside_its_container(bench: Bench, tmp_path: Path) -> None:
    base = (await bench.prepare()).base_commit
    plant = (
        f"printf '#!/bin/sh\\ntouch {tmp_path}/ran /workspace/ran\\nexit 1\\n' > /home/worker/evil;"
        " chmod +x /home/worker/evil; git config core.fsmonitor /home/worker/evil;"
        " git config uploadpack.packObjectsHook /home/worker/evil; git config pack.packSizeLimit 1;"
        " echo x > f; git add f; git commit --quiet --no-verify --message f; git rev-parse HEAD"
    )
    await bench.told(plant)
    head = await bench.told("git -c core.fsmonitor=false rev-parse HEAD", turn=91)
    pushed = await bench.runtime.workspaces().push(bench.pushing(base))
    assert pushed.commit == head
    assert not (tmp_path / "ran").exists()


async def test_removing_a_worker_leaves_no_container_and_no_volume(bench: Bench) -> None:
    await bench.prepare()
    await bench.turn({})
    request = bench.request({"hangs": True}, turn=2)
    running = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow()))
    await eventually(lambda: len(bench.said) == 2)
    await bench.runtime.workspaces().remove(bench.worker)
    with pytest.raises(OrchestratorError):
        await running
    assert bench.worker not in docker("ps", "--all", "--format", "{{.Names}}")
    assert bench.worker not in docker("volume", "ls", "--quiet")


async def test_the_tests_have_no_network_and_cannot_change_the_shared_packages(bench: Bench) -> None:
    script = "cat /proc/net/route | wc -l; touch /venv/x; echo '= 1 passed ='"
    result = await bench.verify(bench.verification({"Makefile": MAKEFILE.format(script)}))
    assert result.report is not None
    output = (await bench.artifacts.read(result.report)).decode()
    assert "1\n" in output
    assert "Read-only file system" in output


@pytest.mark.deep
async def test_a_wish_becomes_a_verified_commit_without_leaving_containers(bench: Bench) -> None:
    runtime = bench.runtime
    assert isinstance(runtime, DockerRuntime)
    await bench.forge.scaffold(
        ScaffolderMessage(project_id="p1", repo_full_name=REPOSITORY, project_name="shop", modules=["backend"])
    )
    base = (await bench.prepare()).base_commit
    agent = ScriptedAgent(Path("/opt/scripted_agent"), Path("/usr/bin/python3"))
    turn = bench.request({}).model_copy(update={"message": "Make a notes service: title, text"})
    done = await DockerAgentRuntime(runtime.runs(), runtime.images(), [agent], bench.artifacts).run_turn(
        turn, bench.follow()
    )
    assert done.status == "done", done.summary
    pushed = await runtime.workspaces().push(bench.pushing(base))
    assert "services/backend/models/note.py" in pushed.files_changed
    result = await bench.verify(bench.verification_of(pushed.commit, timeout_s=200))
    assert result.passed, result.evidence


async def test_an_engine_that_does_not_answer_is_named_with_what_to_do(tmp_path: Path) -> None:
    runs = ContainerRuns(DockerContainerEngine(f"unix://{tmp_path}/no.sock", patience_s=0.1), tmp_path / "runs")
    with pytest.raises(OrchestratorError) as away:
        await runs.status("turn-x-1")
    assert (away.value.code, away.value.error_class) == (ErrorCode.DOCKER_UNREACHABLE, ErrorClass.TRANSIENT)
    assert "systemctl start docker" in away.value.message
    assert obstacle(BASE_IMAGE, f"unix://{tmp_path}/no.sock") is not None


async def test_an_image_is_built_and_tried_before_it_has_its_tag(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = bench.runtime
    assert isinstance(runtime, DockerRuntime)
    good = await runtime.images().worker()
    broken = tmp_path / "images"
    broken.mkdir()
    # What is built is there, and is no place to work in: the smoke test must say so.
    (broken / "worker.Dockerfile").write_text(f"FROM {good}\nCOPY --chown=0:0 scripted_agent /opt/other\nUSER 0:0\n")
    (broken / "worker-run.sh").write_text(f"#!/bin/sh\n# {bench.worker}\nexit 1\n")
    (broken / "system.Dockerfile").touch()
    monkeypatch.setattr(recipes, "_IMAGES", broken)
    monkeypatch.setattr(recipes, "_WORKER_SMOKE", "test -e /nowhere")
    tags = docker("images", "--format", "{{.Tag}}", docker_images.REPOSITORY).split()
    with pytest.raises(OrchestratorError) as refused:
        await runtime.images().worker()
    assert refused.value.code is ErrorCode.PROCESS_FAILED
    now = docker("images", "--format", "{{.Tag}}", docker_images.REPOSITORY).split()
    drafts = [tag for tag in now if tag not in tags]
    assert all(tag.endswith("-draft") for tag in drafts)
    docker("rmi", *(f"{docker_images.REPOSITORY}:{tag}" for tag in drafts))


async def test_tests_whose_output_the_engine_lost_are_run_once_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It loses what is printed while its daemon is down."""
    read: list[str] = []

    def judge_less_the_first_time(output: str, *rest: Any, **more: Any) -> CheckedOutput:
        read.append(output)
        return verification_report.judge(output if len(read) > 1 else "", *rest, **more)

    monkeypatch.setattr(verification_steps, "judge", judge_less_the_first_time)
    request = bench.verification({"Makefile": MAKEFILE.format("echo '= 3 passed ='")})
    result = await bench.verify(request)
    assert (result.passed, len(read)) == (True, 2)
    assert (await bench.verify(request)).passed
    assert len(read) == 2


@pytest.mark.deep
async def test_tests_that_failed_unseen_are_run_once_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    read, status = list[str](), ContainerRuns.status

    async def unseen(runs: ContainerRuns, name: str) -> RunStatus:
        return replace(await status(runs, name), unseen=True)

    def count(output: str, *rest: Any, **more: Any) -> CheckedOutput:
        read.append(output)
        return verification_report.judge(output, *rest, **more)

    monkeypatch.setattr(ContainerRuns, "status", unseen)
    monkeypatch.setattr(verification_steps, "judge", count)
    result = await bench.verify(bench.verification({"Makefile": MAKEFILE.format("exit 3")}))
    assert (result.passed, result.failure_class, len(read)) == (False, "code", 2)


async def test_a_worker_killed_right_after_the_verdict_leaves_nothing_of_the_tests(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, remove = list[ContainerRuns](), ContainerRuns.remove

    async def container_only(runs: ContainerRuns, name: str) -> None:
        seen.append(runs)
        await runs.engine.remove(name)
        raise asyncio.CancelledError

    request = bench.verification({"Makefile": MAKEFILE.format("echo '= 3 passed ='")})
    with monkeypatch.context() as killed:
        killed.setattr(ContainerRuns, "remove", container_only)
        with pytest.raises(asyncio.CancelledError):
            await bench.verify(request)
    [runs] = seen
    assert ContainerRuns.remove is remove
    assert runs.names({}) != []
    assert (await bench.verify(request)).passed
    assert runs.names({}) == []


@pytest.mark.deep
async def test_tests_are_run_once_more_also_when_that_is_interrupted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their container could not be removed yet: its remains are no verdict."""
    read, kept, remove = list[str](), list[str](), ContainerRuns.remove

    def judge_less_two_times(output: str, *rest: Any, **more: Any) -> CheckedOutput:
        read.append(output)
        return verification_report.judge(output if len(read) > 2 else "", *rest, **more)

    async def keep_the_first_time(runs: ContainerRuns, name: str) -> None:
        if not kept:
            kept.append(name)
            raise OrchestratorError(ErrorCode.DOCKER_UNREACHABLE, "away", error_class=ErrorClass.TRANSIENT)
        await remove(runs, name)

    monkeypatch.setattr(verification_steps, "judge", judge_less_two_times)
    monkeypatch.setattr(ContainerRuns, "remove", keep_the_first_time)
    request = bench.verification({"Makefile": MAKEFILE.format("echo '= 3 passed ='")})
    with pytest.raises(OrchestratorError, match="away"):
        await bench.verify(request)
    assert (await bench.verify(request)).passed
    assert len(read) == 3
