"""What a repository may declare about the place where it is worked on: little, and nothing that reaches out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from activities.adapters.containers.engine import ContainerSpec, ContainerState
from activities.adapters.containers.images import DockerImages, ProjectImage, files_in
from activities.adapters.containers.images.builder import ImageBuilder
from activities.adapters.containers.images.environments import EnvironmentBuilder, _package_layers, script_of
from activities.adapters.packages.environment_file import (
    ENVIRONMENT_FILE,
    MAX_FILE,
    Environment,
    files_of,
    parsed_environment,
    read_environment,
)
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from infra.engine_proxy.names import CONTAINER

GOOD = """
packages: [libpq5, "ffmpeg=7:5.1"]
python: ["httpx>=0.27", "uvicorn[standard]==0.30.0"]
files: [package.json, tools/seed.sql]
setup:
  - sh tools/prepare.sh
egress: none
"""


def test_a_good_file_is_read_as_it_is() -> None:
    declared = parsed_environment(GOOD.encode())
    assert declared.packages == ["libpq5", "ffmpeg=7:5.1"]
    assert declared.setup == ["sh tools/prepare.sh"]
    assert declared.egress == "none"


@pytest.mark.parametrize(
    "text",
    [
        "packages: ['-o APT::Update::Pre-Invoke::=id']",
        "packages: ['x; id']",
        "packages: ['./local.deb']",
        "packages: ['$(id)']",
        'packages: ["libpq5\\nRUN id"]',
        "python: ['git+https://example.test/x']",
        "python: ['--index-url=http://example.test']",
        "python: ['-r /etc/passwd']",
        "python: ['x @ file:///etc']",
        'python: ["x\\n--index-url http://y"]',
        "files: ['../secret']",
        "files: ['/etc/passwd']",
        "files: ['a/../../b']",
        "files: ['.git/config']",
        "files: ['a//b']",
        "setup: ['']",
        'setup: ["a\\0b"]',
        "setup: id",
        "egress: everything",
        "egress: [example.test]",
        "version: 2",
        "image: debian",
        "privileged: true",
        "- a list",
        "packages: {a: b}",
        "packages: [1]",
        "setup: [" + ",".join(["id"] * 31) + "]",
        "setup: ['" + "x" * 2_001 + "']",
        "a: &a [*a]",
        "packages: [",
        "x" * 70_000,
        "packages: !!python/object/apply:os.system ['id']",
    ],
)
def test_what_it_may_not_say_fails_the_environment_and_nothing_else(text: str) -> None:
    with pytest.raises(OrchestratorError) as caught:
        parsed_environment(text.encode())
    assert caught.value.code is ErrorCode.ENVIRONMENT_FAILED
    assert caught.value.error_class is ErrorClass.PERMANENT
    assert ENVIRONMENT_FILE in caught.value.details["evidence"]


def test_a_service_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(OrchestratorError, match="Input should be 'postgresql' or 'redis'"):
        parsed_environment(b"services: [mongodb]")


def test_services_are_a_layer_that_the_launcher_knows_by_its_variable() -> None:
    declared = Environment(parsed_environment(b"services: [redis, postgresql, redis]"))
    assert not declared.is_empty
    [layer] = _package_layers(declared)
    assert 'ENV ORCHESTRATOR_SERVICES="postgresql redis"' in layer.dockerfile
    assert layer.smoke == "services-start postgresql redis"
    assert re.fullmatch(CONTAINER, f"{layer.tag('parent')}-0123abcd-draft-smoke".replace(":", "-"))


def test_bytes_that_are_no_text_are_named_as_such() -> None:
    with pytest.raises(OrchestratorError, match="UTF-8"):
        parsed_environment(b"\xff\xfe")


async def read(files: dict[str, bytes]) -> Environment:
    async def one(path: str, limit: int) -> bytes | None:
        found = files.get(path)
        return found if found is not None and len(found) <= limit else None

    return await read_environment(one)


async def test_without_a_file_there_is_nothing_to_set_up() -> None:
    assert (await read({})).is_empty
    assert (await read({ENVIRONMENT_FILE: b"egress: none"})).is_empty
    assert (await read({ENVIRONMENT_FILE: b""})).is_empty


async def test_the_files_of_the_steps_count_and_a_missing_or_large_one_is_named() -> None:
    declared = {ENVIRONMENT_FILE: b"files: [package.json]\nsetup: [make x]"}
    assert (await read({**declared, "package.json": b"{}"})).files == {"package.json": b"{}"}
    for files in (declared, {**declared, "package.json": b"x" * (MAX_FILE + 1)}):
        with pytest.raises(OrchestratorError, match=r"package\.json"):
            await read(files)


async def test_a_link_in_a_repository_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    project = tmp_path / "project"
    project.mkdir()
    (project / "link").symlink_to(tmp_path / "outside" / "secret")
    (project / "folder").symlink_to(tmp_path / "outside")
    (project / "plain").write_text("plain")
    read = files_of(project)
    assert [await read(path, 100) for path in ("plain", "link", "folder/secret", "none")] == [
        b"plain",
        None,
        None,
        None,
    ]
    assert await read("plain", 2) is None


async def test_the_files_of_a_repository_in_a_container_are_read_below_its_directory() -> None:
    class Container:
        async def read_file(self, name: str, path: str, limit: int) -> bytes | None:
            return f"{name} {path} {limit}".encode()

    read = files_in(cast("Any", Container()), "workspace-1", "/workspace")
    assert await read("a/b", 7) == b"workspace-1 /workspace/a/b 7"


# Setting up


def test_each_step_is_one_word_of_the_script() -> None:
    script = script_of(["echo 'it'\"s\"; exit 3", "echo $HOME\nfalse"])
    assert script.count("environment step") == 2
    assert "sh -ec 'echo $HOME\nfalse'" in script


@dataclass
class Engine:
    """An engine in which a script ends as it was told to."""

    code: int | None = 0
    says: bytes = b""
    images: set[str] = field(default_factory=set)
    scripts: list[ContainerSpec] = field(default_factory=list)
    build_says: str | None = None

    async def has_image(self, tag: str) -> bool:
        return tag in self.images

    async def remove(self, name: str) -> None:
        return

    async def create(self, spec: ContainerSpec) -> None:
        self.scripts.append(spec)

    async def start(self, name: str) -> bool:
        return self.code is not None

    async def wait(self, name: str, timeout_s: float) -> bool:
        return True

    async def inspect(self, name: str) -> ContainerState:
        return ContainerState(name, "1", "exited", self.code or 0, False, None, None, {})

    async def copy_output(self, name: str, skip: int, write: Any, follow: bool = True) -> int:
        write(self.says)
        return 0

    async def commit(self, name: str, tag: str) -> None:
        self.images.add(tag)

    async def build_image(self, context: bytes, tag: str, arguments: dict[str, str]) -> None:
        if self.build_says is not None:
            error = OrchestratorError.transient(ErrorCode.PROCESS_FAILED, "The image could not be built")
            error.details["output"] = self.build_says
            raise error
        self.images.add(tag)

    async def tag_image(self, image: str, tag: str) -> None:
        self.images.add(tag)

    async def remove_tag(self, tag: str, *, parents: bool = False) -> None:
        self.images.discard(tag)


SETUP = Environment(parsed_environment(b"setup: ['echo one', 'false']"))


def environments(engine: Engine, tmp_path: Path) -> EnvironmentBuilder:
    return EnvironmentBuilder(ImageBuilder(cast("Any", engine), tmp_path), tmp_path)


async def test_an_empty_environment_is_the_image_itself(tmp_path: Path) -> None:
    assert await environments(Engine(), tmp_path).ensure("agent:1", Environment()) == "agent:1"


async def test_the_second_use_runs_nothing(tmp_path: Path) -> None:
    engine = Engine()
    tag = await environments(engine, tmp_path).ensure("agent:1", SETUP)
    assert await environments(engine, tmp_path).ensure("agent:1", SETUP) == tag
    assert len(engine.scripts) == 1
    assert engine.images == {tag}
    assert await environments(engine, tmp_path).ensure("agent:2", SETUP) != tag


async def test_steps_run_as_a_turn_does_without_a_network(tmp_path: Path) -> None:
    engine = Engine()
    await environments(engine, tmp_path).ensure("agent:1", SETUP)
    [spec] = engine.scripts
    assert (spec.network, spec.image, spec.binds) == ("none", "agent:1", ())
    assert spec.name.startswith("codegen-orchestrator-worker-environment-")


async def test_a_step_that_fails_is_the_files_fault_and_is_named(tmp_path: Path) -> None:
    engine = Engine(code=2, says=b"environment step 1\none\nenvironment step 2\nno such thing\n")
    with pytest.raises(OrchestratorError) as caught:
        await environments(engine, tmp_path).ensure("agent:1", SETUP)
    assert caught.value.code is ErrorCode.ENVIRONMENT_FAILED
    assert "step 2 of setup ended with exit code 2" in caught.value.message
    assert "no such thing" in caught.value.details["evidence"]
    assert engine.images == set()


async def test_a_failure_is_remembered_for_some_minutes_and_not_for_ever(tmp_path: Path) -> None:
    engine = Engine(code=2, says=b"environment step 2\nbroken\n")
    for _ in range(2):
        with pytest.raises(OrchestratorError, match="step 2"):
            await environments(engine, tmp_path).ensure("agent:1", SETUP)
    assert len(engine.scripts) == 1
    [memory] = tmp_path.glob("*.failed")
    assert "broken" in json.loads(memory.read_text())[1]
    memory.unlink()
    engine.code = 0
    assert await environments(engine, tmp_path).ensure("agent:1", SETUP) in engine.images


@pytest.mark.parametrize(("code", "retried"), [(124, False), (137, False), (None, True)])
async def test_a_step_without_an_end_is_the_files_fault_and_a_killed_engine_is_not(
    tmp_path: Path, code: int | None, *, retried: bool
) -> None:
    with pytest.raises(OrchestratorError) as caught:
        await environments(Engine(code=code), tmp_path).ensure("agent:1", SETUP)
    assert caught.value.retryable is retried


@pytest.mark.parametrize(
    ("said", "is_wrong"),
    [
        ("E: Unable to locate package libfoo", True),
        ("Package 'x' has no installation candidate", True),
        ("No solution found when resolving dependencies: Because httpx==99 (from versions: 0.1)", True),
        ("Temporary failure resolving 'packages.example'", False),
        ("No solution found … Failed to fetch: `https://index/`", False),
        ("no space left on device", False),
    ],
)
async def test_names_that_are_wrong_are_told_apart_from_a_network_that_is_away(
    tmp_path: Path, said: str, *, is_wrong: bool
) -> None:
    engine = Engine(build_says=said)
    with pytest.raises(OrchestratorError) as caught:
        await environments(engine, tmp_path).ensure("agent:1", Environment(parsed_environment(b"packages: [libfoo]")))
    assert (caught.value.code is ErrorCode.ENVIRONMENT_FAILED) is is_wrong
    assert caught.value.retryable is not is_wrong


async def test_a_turn_goes_on_without_an_environment_that_cannot_be(tmp_path: Path) -> None:
    async def broken(path: str, limit: int) -> bytes | None:
        return b"packages: ['x; id']" if path == ENVIRONMENT_FILE else None

    async def quiet(path: str, limit: int) -> bytes | None:
        return b"egress: none" if path == ENVIRONMENT_FILE else None

    images = DockerImages(cast("Any", Engine()), tmp_path)
    refused, closed = await images.project("agent:1", broken), await images.project("agent:1", quiet)
    assert (refused.tag, refused.reaches_out) == ("agent:1", True)
    assert ENVIRONMENT_FILE in (refused.problem or "")
    assert closed == ProjectImage("agent:1", None, reaches_out=False)
