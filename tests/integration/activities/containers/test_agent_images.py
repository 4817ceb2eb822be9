"""The images of agents with the real engine, the real registries and the real programs. In depth: they are large."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace

import pytest

from activities.adapters.containers.engine import ContainerSpec, DockerContainerEngine
from activities.adapters.containers.images import DockerImages
from activities.adapters.containers.images.agent_programs import AGENT_PROGRAMS
from activities.adapters.containers.images.trial import Trial, tried
from activities.adapters.packages.environment_file import Environment, parsed_environment
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentKind
from tests.support.services.container_service import no_engine
from tests.support.services.runtimes import docker

DECLARED = b"""
packages: [bc]
python: ['tomli==2.0.1']
files: [seed.txt]
setup:
  - cp seed.txt /opt/environment/seeded
  - |
    printf '#!/bin/sh\\necho ours\\n' > /opt/environment/bin/ours
    chmod +x /opt/environment/bin/ours
  - if getent hosts example.com; then exit 1; fi
  - test "$(ls /sys/class/net)" = lo
"""
pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Bench:
    images: DockerImages
    engine: DockerContainerEngine

    async def run(self, image: str, script: str) -> Trial:
        return await tried(self.engine, f"codegen-orchestrator-worker-trial-{time.monotonic_ns()}", image, script, 60)


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    problem = no_engine()
    if problem is not None:
        pytest.skip(problem)
    engine = DockerContainerEngine()
    return Bench(DockerImages(engine, tmp_path_factory.mktemp("locks")), engine)


@pytest.mark.parametrize("kind", list(AGENT_PROGRAMS))
async def test_each_agent_is_there_at_exactly_its_version(bench: Bench, kind: AgentKind) -> None:
    image = await bench.images.agent(kind)
    for command, says in AGENT_PROGRAMS[kind].says.items():
        trial = await bench.run(image, command)
        assert says in trial.output, trial
    assert "user=1000" in (await bench.run(image, "echo user=$(id -u)")).output
    assert await bench.images.agent(kind) == image


async def test_the_program_inside_runs_without_the_platform_and_at_once(bench: Bench) -> None:
    image = await bench.images.agent(AgentKind.CODEX)
    for python in ("/opt/orchestrator/bin/python", "/opt/acp/bin/python", "python3"):
        trial = await bench.run(image, f"{python} -c 'import temporalio'")
        assert "No module named 'temporalio'" in trial.output
    timed = "a=$(date +%s%N); orchestrator --help; b=$(date +%s%N); echo ms=$(((b-a)/1000000))"
    script = f"orchestrator --help >/dev/null; {timed}"
    trial = await bench.run(image, script)
    assert trial.code == 0
    assert int(trial.output.rpartition("ms=")[2]) < 400, trial.output
    said = await bench.run(
        image, "export ORCHESTRATOR_OUTCOME=/tmp/o; orchestrator ask 'Which?' --choice a; cat /tmp/o"
    )
    assert json.loads(said.output.splitlines()[-1])["question"] == "Which?"
    assert (await bench.run(image, "orchestrator secret set A")).code == 3


async def test_no_way_to_a_registry_stays_in_an_image(bench: Bench) -> None:
    image = await bench.images.agent(AgentKind.CODEX, ["github"])
    found = await bench.run(
        image, "ls -A /build 2>/dev/null; grep -rl authToken /etc /opt/node/etc /root 2>/dev/null || true"
    )
    assert found.output == ""
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    assert "npm install" not in history
    assert "gh version 2.102.0" in (await bench.run(image, "gh --version")).output
    assert "fetched" not in docker("images", "--format", "{{.Tag}}", "codegen-orchestrator-worker")


async def test_an_environment_is_made_once_and_holds_what_was_asked_for(bench: Bench) -> None:
    parent = await bench.images.worker()
    declared = parsed_environment(DECLARED)
    environment = Environment(declared, {"seed.txt": b"seed"})
    image = await bench.images.environment(parent, environment)
    script = "echo 2+3 | bc; python -c 'import tomli; print(tomli.__name__)'; cat /opt/environment/seeded; echo; ours"
    trial = await bench.run(image, script)
    assert trial.output.split() == ["5", "tomli", "seed", "ours"]
    # Others may build their own meanwhile: this one was not made, or named, again.
    made = docker("inspect", "--format", "{{.Id}} {{.Metadata.LastTagTime}}", image)
    assert await bench.images.environment(parent, environment) == image
    assert docker("inspect", "--format", "{{.Id}} {{.Metadata.LastTagTime}}", image) == made
    assert await bench.images.environment(parent, replace(environment, files={"seed.txt": b"other"})) != image


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (b"packages: [no-such-package-anywhere]", "no-such-package-anywhere"),
        (b"setup: ['true', 'echo wrong >&2; exit 7']", "step 2 of setup ended with exit code 7"),
        (b"setup: ['apt-get install -y bc']", "step 1 of setup"),
    ],
)
async def test_an_environment_that_cannot_be_is_the_files_fault(bench: Bench, declared: bytes, said: str) -> None:
    with pytest.raises(OrchestratorError) as caught:
        await bench.images.environment(await bench.images.worker(), Environment(parsed_environment(declared)))
    assert caught.value.code is ErrorCode.ENVIRONMENT_FAILED
    assert said in caught.value.details["evidence"]


async def test_volumes_of_a_turn_belong_to_its_user(bench: Bench) -> None:
    image = await bench.images.agent(AgentKind.CODEX)
    spec = ContainerSpec(
        "codegen-orchestrator-worker-trial-places", image, ["stat", "-c", "%u", "/workspace", "/home/worker"]
    )
    said = bytearray()
    await bench.engine.create(spec)
    try:
        await bench.engine.start(spec.name)
        await bench.engine.wait(spec.name, 20)
        await bench.engine.copy_output(spec.name, 0, said.extend, follow=False)
    finally:
        await bench.engine.remove(spec.name)
    assert said.split() == [b"1000", b"1000"]


async def test_two_builders_at_once_make_one_image(bench: Bench) -> None:
    declared = Environment(parsed_environment(b"setup: ['date +%N > /opt/environment/when']"))
    parent = await bench.images.worker()
    first, second = await asyncio.gather(*(bench.images.environment(parent, declared) for _ in range(2)))
    assert first == second
