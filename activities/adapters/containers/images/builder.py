"""Builds layers that are missing, proves that each works, and removes those that newer ones have replaced."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from activities.adapters.containers.engine import DockerContainerEngine
from activities.adapters.containers.images.layers import BASE_IMAGE, Layer, tags_of
from activities.adapters.containers.images.registries import build_registry_files
from activities.adapters.containers.images.trial import tried
from activities.adapters.runs.file_lock import file_lock
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

log = structlog.get_logger(__name__)

_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_SMOKE_S = 120.0
_UNUSED_S = 30 * 86_400.0
"""Layers that nobody has asked for so long go; asked for again, they are built again."""


class ImageBuilder:
    """`locks_dir` is where builders on this machine wait for each other, and what they have built is written down."""

    def __init__(self, engine: DockerContainerEngine, locks_dir: Path) -> None:
        self.engine = engine
        self._locks_dir = locks_dir

    async def ensure(self, layers: Sequence[Layer], parent: str = BASE_IMAGE) -> str:
        """The tag of the topmost layer, which exists and has passed its smoke test; what is missing below is built.

        Looked for before every use, because somebody may have removed it. One builder of a layer at a time. Raises
        OrchestratorError PROCESS_FAILED (transient) with the end of the build's output, and says what to do when the
        base image is missing and cannot be had.
        """
        tags = await asyncio.to_thread(tags_of, layers, parent)
        if await self.engine.has_image(tags[-1]):
            self.used(layers[-1])
            return tags[-1]
        for below, layer, tag in zip([parent, *tags], layers, tags, strict=False):
            await self._ensure_one(layer, tag, below)
        return tags[-1]

    async def _ensure_one(self, layer: Layer, tag: str, parent: str) -> None:
        async with file_lock(self._locks_dir / f"{layer.name}-image.lock"):
            if not await self.engine.has_image(tag):
                if parent == BASE_IMAGE:
                    await self.engine.ensure_image(BASE_IMAGE)
                await self._build(layer, tag, parent)
                await self.retire(layer, tag)
            self.used(layer)

    async def _build(self, layer: Layer, tag: str, parent: str) -> None:
        """The tag is given last, so that an image with it is always whole and tested."""
        log.info("building an image", layer=layer.name, tag=tag)
        began, fetched = time.monotonic(), f"{self.draft(tag)}-fetched"
        arguments = {"PARENT": parent, "FETCHED": fetched, **layer.arguments} if layer.name != "worker" else {}
        arguments |= {name: os.environ[name] for name in _PROXIES if os.environ.get(name)}
        try:
            if layer.fetch is not None:
                registry = await asyncio.to_thread(build_registry_files)
                content = await asyncio.to_thread(layer.fetch_context, registry)
                await self.engine.build_image(content, fetched, arguments)
            await self.engine.build_image(await asyncio.to_thread(layer.context), self.draft(tag), arguments)
        finally:
            if layer.fetch is not None:
                # It knows how registries are reached, and holds a second copy of what was fetched.
                await self.engine.remove_tag(fetched, parents=True)
        await self._smoke(layer, self.draft(tag))
        await self.give_tag(self.draft(tag), tag)
        log.info("built an image", layer=layer.name, tag=tag, seconds=round(time.monotonic() - began, 1))

    def draft(self, tag: str) -> str:
        """Another name for each installation: another one on this machine may be building the same image."""
        return f"{tag}-{hashlib.sha256(str(self._locks_dir).encode()).hexdigest()[:8]}-draft"

    async def give_tag(self, draft: str, tag: str) -> None:
        await self.engine.tag_image(draft, tag)
        await self.engine.remove_tag(draft)

    async def retire(self, layer: Layer, tag: str) -> None:
        """Remove what this installation has built before under this layer's name; what is still in use goes the next
        time. Layers that nobody has used for a month go as well. Those of other installations on this machine stay.
        """
        record = self._record(layer)
        built = record.read_text().split() if record.exists() else []
        tags = [*(one for one in built if one != tag), tag]
        stuck = await self._removed(tags[: -layer.keep])
        record.write_text("\n".join([*stuck, *tags[-layer.keep :]]))
        for other in self._locks_dir.glob("*-images"):
            if other != record and time.time() - other.stat().st_mtime > _UNUSED_S:
                await self._retire_all(other)

    def used(self, layer: Layer) -> None:
        """Write down that somebody has asked for it now."""
        if (record := self._record(layer)).exists():
            record.touch()

    async def _retire_all(self, record: Path) -> None:
        stuck = await self._removed(record.read_text().split())
        if stuck:
            record.write_text("\n".join(stuck))
        else:
            record.unlink(missing_ok=True)

    async def _removed(self, tags: Sequence[str]) -> list[str]:
        """Those that could not be removed."""
        kept = []
        for old in tags:
            try:
                await self.engine.remove_tag(old, parents=True)
            except OrchestratorError as error:
                log.info("an old image stays for now", tag=old, reason=error.message)
                kept.append(old)
        return kept

    def _record(self, layer: Layer) -> Path:
        return self._locks_dir / f"{layer.name}-images"

    async def _smoke(self, layer: Layer, image: str) -> None:
        trial = await tried(self.engine, image.replace(":", "-") + "-smoke", image, layer.smoke, _SMOKE_S)
        if trial.code != 0:
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED,
                f"The image {layer.name} was built but does not work; see the details.",
                error_class=ErrorClass.TRANSIENT,
                details={"output": trial.output},
            )
