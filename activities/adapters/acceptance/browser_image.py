"""The worker image with Debian's Chromium: built when a check first needs a page."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import activities
from activities.adapters.containers.engine import DockerContainerEngine
from activities.adapters.containers.images import DockerImages
from activities.adapters.runs.file_lock import file_lock

REPOSITORY = "codegen-orchestrator-browser"
BROWSER = "/usr/bin/chromium"
_DOCKERFILE = Path(activities.__file__).resolve().parent.parent / "infra" / "images" / "browser.Dockerfile"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class BrowserImage:
    """`locks_dir` is where builders on this machine wait for each other."""

    def __init__(self, engine: DockerContainerEngine, images: DockerImages, locks_dir: Path) -> None:
        self._engine = engine
        self._images = images
        self._locks_dir = locks_dir

    async def ready(self) -> str:
        """The tag of the image, built (about a minute, with the network) when it is missing.

        Raises PROCESS_FAILED (transient) with the end of the build's output.
        """
        base = await self._images.worker()
        tag = f"{REPOSITORY}:{hashlib.sha256(base.encode() + _DOCKERFILE.read_bytes()).hexdigest()[:16]}"
        if await self._engine.has_image(tag):
            return tag
        async with file_lock(self._locks_dir / "browser-image.lock"):
            if not await self._engine.has_image(tag):
                # Its own name for each installation: another one on this machine may be building the same image.
                draft = f"{tag}-{hashlib.sha256(str(self._locks_dir).encode()).hexdigest()[:8]}-draft"
                proxies = {name: os.environ[name] for name in _PROXIES if os.environ.get(name)}
                await self._engine.build_image(_context(), draft, {"BASE": base, **proxies})
                await self._engine.tag_image(draft, tag)
                await self._engine.remove_tag(draft)
        return tag


def _context() -> bytes:
    out, content = io.BytesIO(), _DOCKERFILE.read_bytes()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()
