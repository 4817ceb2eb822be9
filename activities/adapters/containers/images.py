"""The image of agents and tests, built on demand. Its tag is a hash of what it is made of."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tarfile
from importlib.metadata import version
from pathlib import Path

import structlog
from uv import find_uv_bin

import activities
from activities.adapters.containers.engine import ContainerSpec, DockerContainerEngine
from activities.adapters.runs.file_lock import file_lock
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

log = structlog.get_logger(__name__)

BASE_IMAGE = "debian:bookworm-slim"
REPOSITORY = "codegen-orchestrator-worker"
_SOURCE_ROOT = Path(activities.__file__).resolve().parent.parent
_IMAGES = _SOURCE_ROOT / "infra" / "images"
_AGENT = _SOURCE_ROOT / "activities" / "adapters" / "agents" / "scripted"
_EGRESS = _SOURCE_ROOT / "infra" / "egress"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_SMOKE = (
    "test $(id -u) = 1000 && touch /workspace/x /project/x /venv/x /out/x /gateway/x && git --version && make --version"
    " && python3 -m venv --without-pip /venv/smoke && python3 -m pip --version && python3 /opt/scripted_agent --version"
)
_SMOKE_S = 60.0


class DockerImages:
    """`locks_dir` is where builders on this machine wait for each other."""

    def __init__(self, engine: DockerContainerEngine, locks_dir: Path) -> None:
        self._engine = engine
        self._locks_dir = locks_dir

    async def worker(self) -> str:
        """The tag of the worker image, which exists and has passed its smoke test.

        Looked for before every use, because somebody may have removed it. Builds it when it is missing (about a
        minute, with the network); one builder at a time. Raises OrchestratorError PROCESS_FAILED (transient) with the
        end of the build's output, and says what to do when the base image is missing and cannot be had.
        """
        tag = f"{REPOSITORY}:{await asyncio.to_thread(_digest)}"
        if await self._engine.has_image(tag):
            return tag
        async with file_lock(self._locks_dir / "worker-image.lock"):
            if not await self._engine.has_image(tag):
                await self._engine.ensure_image(BASE_IMAGE)
                await self._build(tag)
                await self._retire(tag)
        return tag

    async def _build(self, tag: str) -> None:
        """The tag is given last, so that an image with it is always whole and tested."""
        log.info("building the worker image", tag=tag)
        # Its own name for each installation: another one on this machine may be building the same image.
        draft = f"{tag}-{hashlib.sha256(str(self._locks_dir).encode()).hexdigest()[:8]}-draft"
        proxies = {name: os.environ[name] for name in _PROXIES if os.environ.get(name)}
        await self._engine.build_image(await asyncio.to_thread(_context), draft, proxies)
        await self._smoke(draft)
        await self._engine.tag_image(draft, tag)
        await self._engine.remove_tag(draft)
        log.info("built the worker image", tag=tag)

    async def _retire(self, tag: str) -> None:
        """Remove the images that this installation has built before; one that is still in use goes the next time.

        Those of other installations on this machine stay.
        """
        record = self._locks_dir / "worker-images"
        built = record.read_text().split() if record.exists() else []
        kept = [tag]
        for old in [one for one in built if one != tag]:
            try:
                await self._engine.remove_tag(old, parents=True)
            except OrchestratorError as error:
                log.info("an old worker image stays for now", tag=old, reason=error.message)
                kept.append(old)
        record.write_text("\n".join(kept))

    async def _smoke(self, image: str) -> None:
        name = image.replace(":", "-") + "-smoke"
        await self._engine.remove(name)
        await self._engine.create(ContainerSpec(name, image, ["sh", "-ec", _SMOKE]))
        try:
            started = await self._engine.start(name)
            ended = await self._engine.wait(name, _SMOKE_S)
            state = await self._engine.inspect(name)
            said = io.BytesIO()
            await self._engine.copy_output(name, 0, said.write, follow=False)
        finally:
            await self._engine.remove(name)
        if not started or not ended or state is None or state.exit_code != 0:
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED,
                "The worker image was built but does not work; see the details.",
                error_class=ErrorClass.TRANSIENT,
                details={"output": said.getvalue().decode(errors="replace")},
            )


def _digest() -> str:
    """A hash of everything in the image; uv's large program counts by its version."""
    return hashlib.sha256(_archive(_files()) + version("uv").encode()).hexdigest()[:16]


def _context() -> bytes:
    return _archive({"uv": (Path(find_uv_bin()), 0o755), **_files()})


def _files() -> dict[str, tuple[Path, int]]:
    """Path in the build's context to the file and its mode."""
    files = {"Dockerfile": (_IMAGES / "worker.Dockerfile", 0o644), "worker-run.sh": (_IMAGES / "worker-run.sh", 0o755)}
    for name, folder in (("scripted_agent", _AGENT), ("egress", _EGRESS)):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                files[f"{name}/{file.relative_to(folder)}"] = (file, 0o644)
    return files


def _archive(files: dict[str, tuple[Path, int]]) -> bytes:
    """A tar archive that is the same for the same sources, whatever their dates and owners are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, (file, mode) in files.items():
            _add(archive, name, file, mode)
    return out.getvalue()


def _add(archive: tarfile.TarFile, name: str, file: Path, mode: int) -> None:
    content = file.read_bytes()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))
