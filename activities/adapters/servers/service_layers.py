"""The layers that images of new projects begin with, from the bundled template: Python and each choice's packages.

A build finds them in the cache of its engine. They only save time: where they are missing it builds all of them.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from activities.adapters.containers import command as docker
from activities.adapters.forge.scaffold import TEMPLATE, CopierScaffolder
from activities.adapters.release.build_context import DOCKERFILE, tree_context
from contracts.departments import ScaffolderMessage

REPOSITORY = "orchestrator-service-layers"
MODULES = (("backend",), ("backend", "tg_bot"), ("tg_bot",))
"""Each choice of modules with a list of packages of its own: `web` needs those of `backend`."""
_SOURCES = ("copier.yml", f"project/{DOCKERFILE}.jinja", "project/requirements.txt.jinja")
_BUILD_S = 600.0
_THIS = Path(__file__)


@dataclass(frozen=True)
class LayerSources:
    """One choice of modules: what its image is built from, and the stages of that build."""

    tag: str
    context: Path
    stages: list[str]


def digest_of(registry: Mapping[str, str], *others: str) -> str:
    """Of all that the layers come of, `others` and this code among it: old ones are never taken for the new."""
    sources = [_THIS.read_bytes(), *((TEMPLATE / name).read_bytes() for name in _SOURCES)]
    texts = [text.encode() for item in sorted(registry.items()) for text in item]
    parts = [hashlib.sha256(part).digest() for part in (*sources, *texts, *(other.encode() for other in others))]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def stages_of(dockerfile: str) -> list[str]:
    """Names of the stages that have one."""
    return re.findall(r"^FROM\s+\S+\s+AS\s+(\S+)", dockerfile, re.MULTILINE | re.IGNORECASE)


async def layer_sources(place: Path, registry: Mapping[str, str]) -> list[LayerSources]:
    """Projects of the template as they are before their first wish, in the empty directory `place`."""
    return [await _sources_of(place / ".".join(modules), modules, registry) for modules in MODULES]


async def _sources_of(place: Path, modules: tuple[str, ...], registry: Mapping[str, str]) -> LayerSources:
    await CopierScaffolder().generate(scaffolding(modules), place)
    context = place.with_name(f"{place.name}.tar")
    context.write_bytes(await asyncio.to_thread(tree_context, place, registry))
    return LayerSources(f"{REPOSITORY}:{place.name}", context, stages_of((place / DOCKERFILE).read_text()))


def scaffolding(modules: tuple[str, ...]) -> ScaffolderMessage:
    """Asks for a project of these modules, whose name is in none of the layers."""
    return ScaffolderMessage(
        project_id="layers", repo_full_name="orchestrator/layers", project_name="layers", modules=list(modules)
    )


async def build_layers(server: str, sources: LayerSources) -> None:
    """By the engine of the container `server`. Every stage gets a tag, so that pruning keeps it."""
    await _build(server, sources.context, "--tag", sources.tag)
    for stage in sources.stages:
        await _build(server, sources.context, "--target", stage, "--tag", f"{sources.tag}-{stage}")


async def _build(server: str, context: Path, *arguments: str) -> None:
    # Its errors are output: those of the engine of the server are not those of this machine's.
    command = ("docker", "build", "--quiet", "--network", "host", "--force-rm", *arguments, "-")
    script = ("sh", "-c", 'exec "$@" 2>&1', "sh")
    await docker.run("exec", "--interactive", server, *script, *command, stdin=context, timeout_s=_BUILD_S)
