"""What somebody removed from the engine - `docker system prune`, a volume, an image - is made again, or asked about."""

import io
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from activities.adapters.containers import agent
from activities.adapters.containers.agent import DockerAgentRuntime
from activities.adapters.containers.egress import EgressGateways
from activities.adapters.containers.engine import ContainerSpec, ContainerState, DockerContainerEngine, PathFacts
from activities.adapters.containers.images import BASE_IMAGE, REPOSITORY, DockerImages
from activities.adapters.containers.images.builder import ImageBuilder
from activities.adapters.containers.images.layers import Layer
from activities.adapters.containers.runs import ContainerRuns
from activities.adapters.containers.tester import DockerTester
from activities.adapters.containers.workspaces import DockerWorkspaces, binds_of, helper_name
from activities.adapters.forge.local import LocalBareForge
from activities.adapters.forge.scaffold import CopierScaffolder
from activities.adapters.release import containers as containers_of_servers
from activities.adapters.release import engine_socket
from activities.adapters.release.containers import ReleaseContainers
from activities.adapters.release.directory import ProjectPlace, write_environment
from activities.adapters.release.engine_socket import Answer
from activities.adapters.release.services import Release, ReleasedService
from activities.adapters.runs.states import RunAs, RunState, RunStatus
from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import TurnRequest, VerificationRequest, VerificationResult, WorkspaceFile, WorkspaceRequest

WORKER = "eng-1"
WORK = WorkspaceRequest(worker_id=WORKER, repository="u1/blog", branch="task/eng-1")


@dataclass
class Engine:
    """An engine's names, and the files of its volumes; nothing runs in it."""

    containers: dict[str, ContainerSpec] = field(default_factory=dict)
    volumes: dict[str, set[str]] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    built: list[str] = field(default_factory=list)
    in_use: set[str] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)
    pulls: bool = True

    def prune_containers(self) -> None:
        self.containers.clear()

    async def inspect(self, name: str) -> ContainerState | None:
        labels = self.containers[name].labels if name in self.containers else {}
        return ContainerState(name, "1", "created", 0, False, None, None, labels) if name in self.containers else None

    async def create(self, spec: ContainerSpec) -> ContainerState:
        if spec.image not in self.images:
            raise OrchestratorError(ErrorCode.NOT_FOUND, f"no such image {spec.image}")
        self.containers[spec.name] = spec
        for bind in spec.binds:
            self.volumes.setdefault(bind.source, set())
        return ContainerState(spec.name, "1", "created", 0, False, None, None, {})

    async def ensure_network(self, name: str) -> None:
        self.networks.add(name)

    async def start(self, name: str) -> bool:
        network = self.containers[name].network
        if network and network not in self.networks:
            raise OrchestratorError.transient(ErrorCode.NOT_FOUND, f"network {network} not found")
        return True

    async def remove(self, name: str) -> None:
        self.containers.pop(name, None)

    async def names(self, labels: dict[str, str]) -> list[str]:
        return [name for name, spec in self.containers.items() if labels.items() <= spec.labels.items()]

    async def ensure_volume(self, name: str, labels: dict[str, str]) -> None:
        self.volumes.setdefault(name, set())

    async def volume_exists(self, name: str) -> bool:
        return name in self.volumes

    async def remove_volume(self, name: str) -> None:
        self.volumes.pop(name, None)

    async def put_archive(self, name: str, directory: str, archive: bytes | Path) -> None:
        content = archive if isinstance(archive, bytes) else archive.read_bytes()
        with tarfile.open(fileobj=io.BytesIO(content)) as members:
            self._files(name).update(member.name.removeprefix("./") for member in members)

    async def facts(self, name: str, path: str) -> PathFacts | None:
        found = path.removeprefix("/workspace/") in self._files(name)
        return PathFacts(1, is_file=True, is_directory=False) if found else None

    def _files(self, container: str) -> set[str]:
        return self.volumes[self.containers[container].binds[0].source]

    async def has_image(self, tag: str) -> bool:
        return tag in self.images

    async def ensure_image(self, tag: str) -> None:
        if tag not in self.images and not self.pulls:
            raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, f"The image {tag} is missing. Run: make docker")
        self.images.add(tag)

    async def build_image(self, context: bytes, tag: str, arguments: dict[str, str]) -> None:
        assert BASE_IMAGE in self.images
        self.images.add(tag)

    async def tag_image(self, image: str, tag: str) -> None:
        self.built.append(tag)
        self.images.add(tag)

    async def remove_tag(self, tag: str, *, parents: bool = False) -> None:
        if tag in self.in_use:
            raise OrchestratorError(ErrorCode.CONFLICT, f"The image {tag} is in use.")
        self.images.discard(tag)


@dataclass
class Bench:
    engine: Engine
    images: DockerImages
    workspaces: DockerWorkspaces


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    async def passes(self: ImageBuilder, layer: Layer, image: str) -> None:
        assert image in engine.images

    monkeypatch.setattr(ImageBuilder, "_smoke", passes)
    monkeypatch.setattr(Layer, "context", lambda _: b"")
    engine = Engine(images={BASE_IMAGE})
    real = cast("DockerContainerEngine", cast("Any", engine))
    forge = LocalBareForge(tmp_path / "forge", CopierScaffolder())
    _commit(forge.mirror("u1/blog").directory, tmp_path / "work")
    images = DockerImages(real, tmp_path / "locks")
    runs = ContainerRuns(real, tmp_path / "runs")
    return Bench(engine, images, DockerWorkspaces(runs, images, forge, tmp_path / "workspaces", "agents"))


def _commit(bare: Path, work: Path) -> None:
    bare.mkdir(parents=True)
    work.mkdir()
    (work / "README.md").write_text("a blog")
    identity = ("-c", "user.name=S", "-c", "user.email=s@localhost", "-c", "safe.directory=*")
    for words in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        ("commit", "--quiet", "--message", "All"),
        ("init", "--quiet", "--bare", "--initial-branch=main", str(bare)),
        ("push", "--quiet", str(bare), "HEAD:main"),
    ):
        subprocess.run(["git", *identity, *words], cwd=work, check=True, capture_output=True)


async def write(bench: Bench, path: str, content: str = "text") -> None:
    await bench.workspaces.write_file(WorkspaceFile(worker_id=WORKER, path=path, content=content))


async def test_a_pruned_helper_is_made_again_and_the_workspace_is_as_it_was(bench: Bench) -> None:
    await bench.workspaces.prepare(WORK)
    bench.engine.volumes[binds_of(WORKER)[0].source].add("uncommitted.py")
    bench.engine.prune_containers()
    await write(bench, "notes.md")
    assert helper_name(WORKER) in bench.engine.containers
    assert {"uncommitted.py", "notes.md", "README.md"} <= bench.engine.volumes[binds_of(WORKER)[0].source]
    bench.engine.prune_containers()
    await bench.workspaces.prepare(WORK)
    assert "uncommitted.py" in bench.engine.volumes[binds_of(WORKER)[0].source], "cloned over what was there"


async def test_removed_volumes_are_cloned_again_with_what_was_written_into_them(bench: Bench) -> None:
    await bench.workspaces.prepare(WORK)
    await write(bench, "TASK.md", "build a blog")
    bench.engine.prune_containers()
    bench.engine.volumes.clear()
    await bench.workspaces.restore(WORKER)
    assert {"README.md", "TASK.md"} <= bench.engine.volumes[binds_of(WORKER)[0].source]


async def test_a_removed_home_of_an_agent_leaves_its_workspace_alone(bench: Bench) -> None:
    await bench.workspaces.prepare(WORK)
    workspace, home = (bind.source for bind in binds_of(WORKER))
    bench.engine.volumes[workspace].add("uncommitted.py")
    bench.engine.prune_containers()
    del bench.engine.volumes[home]
    await bench.workspaces.restore(WORKER)
    assert "uncommitted.py" in bench.engine.volumes[workspace]
    assert home in bench.engine.volumes


async def test_a_folder_whose_volume_is_gone_says_that_its_files_are_lost(bench: Bench) -> None:
    await bench.workspaces.prepare(WorkspaceRequest(worker_id=WORKER))
    bench.engine.prune_containers()
    await bench.workspaces.restore(WORKER)
    bench.engine.prune_containers()
    bench.engine.volumes.clear()
    with pytest.raises(OrchestratorError) as caught:
        await bench.workspaces.restore(WORKER)
    assert "removed from outside" in caught.value.message
    assert "Start the task again" in caught.value.message


async def test_a_worker_that_never_had_a_workspace_gets_none(bench: Bench) -> None:
    with pytest.raises(OrchestratorError) as caught:
        await bench.workspaces.restore(WORKER)
    assert caught.value.code is ErrorCode.NOT_FOUND
    assert bench.engine.volumes == {}


async def test_a_pruned_image_is_built_again_by_whoever_needs_it_next(bench: Bench) -> None:
    tag = await bench.images.worker()
    bench.engine.images.clear()
    assert await bench.images.worker() == tag
    assert bench.engine.built == [tag, tag]
    bench.engine.prune_containers()
    bench.engine.images.clear()
    await bench.workspaces.prepare(WORK)
    assert bench.engine.built == [tag, tag, tag]


async def test_the_image_of_an_earlier_version_goes_once_nothing_uses_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await bench.images.worker()
    foreign = f"{REPOSITORY}:of-another-installation"
    bench.engine.images.add(foreign)
    bench.engine.in_use.add(first)
    monkeypatch.setattr(Layer, "tag", lambda *_: f"{REPOSITORY}:{'2' * 16}")
    second = await bench.images.worker()
    assert bench.engine.images == {BASE_IMAGE, foreign, first, second}
    bench.engine.in_use.clear()
    monkeypatch.setattr(Layer, "tag", lambda *_: f"{REPOSITORY}:{'3' * 16}")
    third = await bench.images.worker()
    assert bench.engine.images == {BASE_IMAGE, foreign, third}


async def test_a_base_image_that_cannot_be_had_is_named_with_what_to_do(bench: Bench) -> None:
    bench.engine.images.clear()
    bench.engine.pulls = False
    with pytest.raises(OrchestratorError) as caught:
        await bench.images.worker()
    assert caught.value.retryable
    assert BASE_IMAGE in caught.value.message
    assert "make docker" in caught.value.message


async def test_a_gateway_whose_network_was_pruned_is_made_anew(bench: Bench) -> None:
    gateways = EgressGateways(cast("Any", bench.engine), bench.images, "way-out")
    await gateways.open(WORKER, ["packages.example.net"], {})
    bench.engine.networks.clear()
    with pytest.raises(OrchestratorError) as gone:
        await gateways.open(WORKER, ["packages.example.net"], {})
    assert gone.value.retryable
    await gateways.open(WORKER, ["packages.example.net"], {})
    assert bench.engine.networks == {"way-out"}


# What has ended is removed before it is read


@dataclass
class Emptied:
    """An engine of which all that had ended was pruned; volumes, and what mounts them, are there. And its runs."""

    there: set[str] = field(default_factory=set)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    end: RunState = "exited"

    @property
    def engine(self) -> "Emptied":
        return self

    async def inspect(self, name: str) -> str | None:
        return name if name in self.there else None

    async def read_file(self, name: str, path: str, limit: int) -> bytes | None:
        return self.files.get((name, path)) if name in self.there else None

    async def save_file(self, name: str, path: str, target: Path, limit: int) -> bool:
        return False

    async def start(self, *_: object) -> None:
        self.there.add("bundle-eng-1")

    async def remove(self, name: str) -> None:
        self.there.discard(name)
        self.removed.append(name)

    @asynccontextmanager
    async def output(self, name: str) -> AsyncIterator["Emptied"]:
        yield self

    async def wait(self, name: str) -> RunStatus:
        self.there.clear()
        return RunStatus(name, self.end, exit_code=0 if self.end == "exited" else None)

    def read_output(self, name: str, offset: int) -> tuple[bytes, int]:
        return b"", offset

    async def worker(self) -> str:
        return "worker"


@pytest.mark.parametrize("state", ["exited", "lost"])
async def test_a_bundle_that_was_removed_is_no_broken_repository(tmp_path: Path, state: RunState) -> None:
    """The agent would be told to repair what is not broken."""
    pruned: Any = Emptied(end=state)
    workspaces = DockerWorkspaces(pruned, pruned, cast("Any", None), tmp_path, "agents")
    with pytest.raises(OrchestratorError) as gone:
        await workspaces._bundle(WORKER, tmp_path / "work.bundle")
    assert gone.value.retryable, gone.value.message


async def test_tests_whose_report_was_removed_are_run_again_and_not_judged_without_it(tmp_path: Path) -> None:
    pruned: Any = Emptied()
    tester = DockerTester(pruned, pruned, cast("Any", None), tmp_path, cast("Any", None))
    request = VerificationRequest(project_id="p", repository="u1/blog", commit="a" * 40, task_id="eng-1")
    ended = RunStatus("test-1", "exited", exit_code=1)
    with pytest.raises(OrchestratorError) as lost:
        await tester._judged(request, "test-1", ended, b"1 failed")
    assert (lost.value.code, lost.value.retryable) == (ErrorCode.TESTER_LOST, True)
    assert pruned.removed == ["test-1"], "its name is free for the next attempt"
    judged = VerificationResult(commit="a" * 40, passed=True)
    (tmp_path / "test-1.json").write_text(judged.model_dump_json())
    assert await tester._judged(request, "test-1", ended, b"1 failed") == judged, (
        "another one has judged and removed it"
    )


async def test_the_outcome_of_an_agent_outlives_its_container() -> None:
    pruned: Any = Emptied()
    file, helper = agent._outcome_file("turn-1"), helper_name(WORKER)
    pruned.files[helper, file] = b"done"

    async def restore(worker_id: str) -> None:
        pruned.there.add(helper_name(worker_id))

    runtime = DockerAgentRuntime(pruned, pruned, [], cast("Any", None), restore=restore)
    request = cast("TurnRequest", SimpleNamespace(worker_id=WORKER))
    assert await runtime._claim(request, "turn-1") == b"done"


# On a server


def released(tmp_path: Path) -> tuple[ReleaseContainers, Release, ReleasedService]:
    service = ReleasedService("backend", ["run"], 8000, "/health", "rel-1", migrate=["migrate"])
    place = ProjectPlace(tmp_path / "blog")
    release = Release("rel-1", "a" * 40, "10.0.0.2", "0.0.0.0", [service], image="sha256:1f")
    (place.release("rel-1") / "env").mkdir(parents=True)
    write_environment(place, "rel-1", "backend", {})
    user = RunAs(os.getuid(), os.getgid())
    return ReleaseContainers(place=place, user=user), release, service


@pytest.mark.parametrize(
    ("refused", "status", "again"), [("create", 404, True), ("start", 404, True), ("start", 400, False)]
)
async def test_a_deploy_begins_again_if_its_image_or_container_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str, status: int, *, again: bool
) -> None:
    async def answers(_method: str, path: str, *_: object, **__: object) -> Answer:
        return Answer(status, {"message": "No such image"}) if path.endswith(refused) else Answer(204, None)

    async def absent(_path: str) -> None:
        return None

    async def roomy(*_: object) -> dict[str, str]:
        return {"DockerRootDir": str(tmp_path)}

    async def named(slug: str) -> str:
        return slug

    for name, stub in (("try_call", answers), ("find", absent), ("call", roomy)):
        monkeypatch.setattr(engine_socket, name, stub)
    monkeypatch.setattr(containers_of_servers, "ensure_network", named)
    containers, release, service = released(tmp_path)
    with pytest.raises(OrchestratorError) as failed:
        await containers.launch("svc-blog-backend-rel-1", release, service, "live", tmp_path)
    assert failed.value.code is (ErrorCode.PLAYBOOK_LOST if again else ErrorCode.PLAYBOOK_FAILED)
    assert failed.value.retryable is again


async def test_a_migration_that_was_removed_has_not_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def launched(*_: object) -> tuple[str, int]:
        return "", 0

    async def nothing(*_: object, **__: object) -> Answer:
        return Answer(404, {"message": "No such container"})

    async def absent(_path: str) -> None:
        return None

    monkeypatch.setattr(ReleaseContainers, "launch", launched)
    monkeypatch.setattr(engine_socket, "try_call", nothing)
    monkeypatch.setattr(engine_socket, "find", absent)
    monkeypatch.setattr(ReleaseContainers, "_readable_tail", _silent)
    containers, release, service = released(tmp_path)
    with pytest.raises(OrchestratorError) as gone:
        await containers._migrate(release, service)
    assert (gone.value.code, gone.value.retryable) == (ErrorCode.PLAYBOOK_LOST, True)


async def _silent(*_: object) -> str:
    return ""
