"""What images are made of: tags follow from content, fetched things leave no trace of how they were fetched."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from activities.adapters.containers.images import builder as building
from activities.adapters.containers.images import recipes
from activities.adapters.containers.images.agent_programs import AGENT_PROGRAMS, CAPABILITIES, chosen_capabilities
from activities.adapters.containers.images.builder import ImageBuilder
from activities.adapters.containers.images.layers import REPOSITORY, Layer, tags_of
from activities.adapters.containers.images.thin_wheel import thin_wheel
from activities.adapters.packages.npm_access import npmrc_lines
from contracts.agent_capabilities import LAYERED
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentKind
from infra.engine_proxy.names import CONTAINER, TAG

ROOT = Path(__file__).parents[4]
LAYER = Layer("base", "FROM x", "true", {"a": (b"1", 0o644)})


def test_a_tag_follows_from_everything_that_an_image_is_made_of() -> None:
    changed = [
        replace(LAYER, dockerfile="FROM y"),
        replace(LAYER, smoke="false"),
        replace(LAYER, files={"a": (b"2", 0o644)}),
        replace(LAYER, files={"a": (b"1", 0o755)}),
        replace(LAYER, versions="uv 2"),
        replace(LAYER, fetch="FROM z"),
        replace(LAYER, arguments={"AGENT": "x"}),
    ]
    tags = [one.tag("parent") for one in (LAYER, *changed)] + [LAYER.tag("other")]
    assert len(set(tags)) == len(changed) + 2
    assert LAYER.tag("parent") == replace(LAYER, keep=3).tag("parent")


def test_a_change_below_gives_all_above_another_tag_and_one_above_none_below() -> None:
    top = Layer("top", "FROM x", "true")
    one, other = tags_of([LAYER, top]), tags_of([replace(LAYER, smoke="false"), top])
    assert not set(one) & set(other)
    assert tags_of([LAYER, replace(top, smoke="false")])[0] == one[0]


@pytest.mark.parametrize("kind", list(AGENT_PROGRAMS))
def test_the_proxy_of_the_engine_knows_every_name_of_an_image(kind: AgentKind) -> None:
    for tag in tags_of(recipes.agent_layers(kind, list(CAPABILITIES))):
        assert re.fullmatch(TAG, tag), tag
        assert re.fullmatch(CONTAINER, f"{tag}-0123abcd-draft-smoke".replace(":", "-"))


def test_every_agent_has_exact_versions_that_its_image_must_say() -> None:
    assert set(AGENT_PROGRAMS) == set(AgentKind) - {AgentKind.SCRIPTED}
    for program in AGENT_PROGRAMS.values():
        assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in program.packages.values())
        assert set(program.packages.values()) == set(program.says.values())
        assert {command.split()[0] for command in program.says} == set(program.programs)


@pytest.mark.parametrize("kind", list(AGENT_PROGRAMS))
def test_the_lock_of_an_agent_fits_its_row_and_names_no_host(kind: AgentKind) -> None:
    program = AGENT_PROGRAMS[kind]
    content = (recipes._AGENTS / "locks" / f"{kind.value}.json").read_text()
    packages = json.loads(content)["packages"]
    assert packages[""]["dependencies"] == program.packages, "run `make lock-agents`"
    for name, version in program.packages.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    for name, package in packages.items():
        assert not name or package["integrity"].startswith("sha512-"), name
    assert "://" not in content
    assert '"resolved"' not in content


def test_what_is_the_platforms_own_comes_last_so_no_change_of_it_fetches_an_agent_again() -> None:
    layers = recipes.agent_layers(AgentKind.CODEX, ["github"])
    assert [layer.name for layer in layers] == ["base", "codex", "codex.github", "codex.github.ready"]
    assert [layer.fetch is not None for layer in layers] == [True, True, True, False]


def test_capabilities_are_chosen_once_and_an_unknown_one_is_refused_with_the_list() -> None:
    assert chosen_capabilities(["python", "github", "git", "github", "browser"]) == ["browser", "github"]
    with pytest.raises(OrchestratorError) as caught:
        chosen_capabilities(["kubernetes"])
    assert caught.value.code is ErrorCode.INVALID_INPUT
    assert "browser, curl, git, github" in caught.value.message
    assert set(CAPABILITIES) == LAYERED, "what the API takes is what images have"


def test_the_scripted_agent_has_capabilities_on_the_image_of_tests() -> None:
    layers = recipes.agent_layers(AgentKind.SCRIPTED, ["postgresql", "git"])
    assert [layer.name for layer in layers] == ["worker", "scripted.postgresql"]
    assert recipes.agent_layers(AgentKind.SCRIPTED) == recipes.worker_layers()


def test_the_sdk_in_the_image_is_the_one_that_is_locked() -> None:
    locked = (ROOT / "requirements.txt").read_text()
    inside = (ROOT / "infra/images/agents/acp-requirements.txt").read_text()
    assert inside.startswith("agent-client-protocol==")
    for entry in re.split(r"\n(?=[a-z])", inside.strip()):
        assert entry.strip() in locked, f"{entry.splitlines()[0]} is another version than the platform's"


# The program inside


def test_the_wheel_holds_the_program_and_nothing_of_the_platform(tmp_path: Path) -> None:
    name, content = thin_wheel(ROOT)
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        modules = {file for file in wheel.namelist() if file.endswith(".py")}
        wheel.extractall(tmp_path)
    assert modules
    assert all(file == "cli/__init__.py" or file.startswith("cli/inside/") for file in modules)
    assert name.endswith("-py3-none-any.whl")
    # Without site-packages: it has to do with what Python itself has.
    program = "import sys; sys.argv[1:] = ['--help']; from cli.inside.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "orchestrator ask" in done.stdout


def test_the_wheel_is_the_same_for_the_same_sources() -> None:
    assert thin_wheel(ROOT) == thin_wheel(ROOT)


# Registries


def test_npm_is_told_where_packages_are_and_nothing_else_about_this_machine(tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    trusted.write_text("trusted")
    (tmp_path / ".npmrc").write_text(
        "; mine\nregistry = http://npm.test/\n//npm.test/:_authToken=${TOKEN}\n@our:registry=http://our.test\n"
        f"prefix=/home/me\ncafile={trusted}\nemail=me@example.test\nignore-scripts=false\n"
    )
    environment = {"TOKEN": "t0k3n", "npm_config_https_proxy": "http://proxy.test", "NPM_CONFIG_GLOBALCONFIG": "/none"}
    lines, certificates = npmrc_lines(environment, tmp_path)
    assert lines == [
        "//npm.test/:_authToken=t0k3n",
        "@our:registry=http://our.test",
        "https-proxy=http://proxy.test",
        "registry=http://npm.test/",
    ]
    assert certificates == "trusted"


def test_a_machine_without_settings_tells_nothing(tmp_path: Path) -> None:
    assert npmrc_lines({"NPM_CONFIG_GLOBALCONFIG": "/none"}, tmp_path) == ([], None)


# Building


@dataclass
class Engine:
    """An engine's tags, and the contexts that it was given."""

    images: set[str] = field(default_factory=lambda: {"debian:bookworm-slim"})
    contexts: dict[str, set[str]] = field(default_factory=dict)
    arguments: dict[str, dict[str, str]] = field(default_factory=dict)
    fails: str = "-none"

    async def has_image(self, tag: str) -> bool:
        return tag in self.images

    async def ensure_image(self, tag: str) -> None:
        assert tag in self.images

    async def build_image(self, context: bytes, tag: str, arguments: dict[str, str]) -> None:
        with tarfile.open(fileobj=io.BytesIO(context)) as members:
            self.contexts[tag] = set(members.getnames())
        self.arguments[tag] = arguments
        self.images.add(tag)
        if tag.endswith(self.fails):
            raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, "no")

    async def tag_image(self, image: str, tag: str) -> None:
        self.images.add(tag)

    async def remove_tag(self, tag: str, *, parents: bool = False) -> None:
        self.images.discard(tag)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    async def passes(*_: object) -> None:
        return

    monkeypatch.setattr(ImageBuilder, "_smoke", passes)
    monkeypatch.setattr(building, "build_registry_files", lambda: {".registry/pip.conf": "index-url = secret"})
    return Engine()


FETCHING = Layer("agent", "FROM x", "true", fetch="FROM y")


def builder(engine: Engine, tmp_path: Path) -> ImageBuilder:
    return ImageBuilder(cast("Any", engine), tmp_path)


async def test_how_registries_are_reached_is_in_no_image_that_stays(engine: Engine, tmp_path: Path) -> None:
    tag = await builder(engine, tmp_path).ensure([LAYER, FETCHING])
    told = [one for one, names in engine.contexts.items() if ".registry/pip.conf" in names]
    assert len(told) == 1
    assert told[0].endswith("-fetched")
    assert engine.images == {"debian:bookworm-slim", *tags_of([LAYER, FETCHING])}
    assert engine.arguments[f"{told[0].removesuffix('-fetched')}"]["PARENT"] == tags_of([LAYER])[0]
    assert tag == tags_of([LAYER, FETCHING])[-1]


@pytest.mark.parametrize("part", ["-fetched", "-draft"])
async def test_what_was_fetched_goes_also_when_the_build_fails(engine: Engine, tmp_path: Path, part: str) -> None:
    engine.fails = part
    with pytest.raises(OrchestratorError):
        await builder(engine, tmp_path).ensure([FETCHING])
    assert not [one for one in engine.images if one.endswith("-fetched")]


async def test_nothing_is_built_twice_and_only_what_changed_is_built_again(engine: Engine, tmp_path: Path) -> None:
    await builder(engine, tmp_path).ensure([LAYER, FETCHING])
    engine.contexts.clear()
    await builder(engine, tmp_path).ensure([LAYER, FETCHING])
    assert engine.contexts == {}
    await builder(engine, tmp_path).ensure([LAYER, replace(FETCHING, smoke="false")])
    assert not any("base" in tag for tag in engine.contexts)


async def test_as_many_environments_stay_as_are_kept_and_of_an_agent_only_the_newest(
    engine: Engine, tmp_path: Path
) -> None:
    for number in range(4):
        await builder(engine, tmp_path).ensure([replace(LAYER, versions=str(number))])
        await builder(engine, tmp_path).ensure([Layer("environment", "FROM x", "true", versions=str(number), keep=3)])
    ours = [tag.partition(":")[2] for tag in engine.images if tag.startswith(REPOSITORY)]
    assert sorted(tag.rpartition("-")[0] for tag in ours) == ["base", *["environment"] * 3]
