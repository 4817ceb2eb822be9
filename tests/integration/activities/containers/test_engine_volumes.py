"""The volume that an engine starts with is a whole copy of a prepared one, or its own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from activities.adapters.containers import command as docker
from activities.adapters.servers import engine_volumes
from activities.adapters.servers.container import ensure_image
from activities.adapters.servers.engine_volumes import (
    copy_volume,
    is_ready,
    mark_ready,
    remove_half_copy,
    remove_volume,
)
from contracts.errors import OrchestratorError
from tests.support.services.container_service import no_engine

# As a layer is: with marks that only an administrator may set, and a device in the place of what it removes.
_FILL = """
mkdir -m 710 layer && echo whole > layer/file && mknod -m 600 layer/gone c 0 0 && ln -s layer link
python3 -c 'import os; os.setxattr("layer", "trusted.overlay.opaque", b"y")'
"""
_LOOK = """
find . -mindepth 1 -printf '%P %y %m %l\\n' | sort
python3 -c 'import os; print(os.getxattr("layer", "trusted.overlay.opaque").decode())'
"""


@dataclass(frozen=True)
class Volumes:
    """One that is prepared and one that may become its copy: unused names."""

    image: str
    source: str
    target: str

    async def inside(self, volume: str, script: str) -> str:
        mount = ("--volume", f"{volume}:/volume", "--workdir", "/volume", "--cap-add", "SYS_ADMIN")
        return await docker.run("run", "--rm", "--network", "none", *mount, self.image, "sh", "-ec", script)

    async def prepare(self) -> None:
        await self.inside(self.source, _FILL)
        await mark_ready(self.source, self.image)


@pytest.fixture
async def volumes() -> AsyncIterator[Volumes]:
    obstacle = no_engine()
    if obstacle is not None:
        pytest.skip(obstacle)
    number = uuid4().hex[:8]
    given = Volumes(await ensure_image(), f"test-source-{number}", f"test-target-{number}")
    yield given
    for volume in (given.source, given.target):
        await remove_volume(volume)


@pytest.mark.deep
async def test_a_copy_is_what_was_prepared_and_is_made_once(volumes: Volumes) -> None:
    assert not await is_ready(volumes.source, volumes.image)
    await volumes.prepare()
    assert await is_ready(volumes.source, volumes.image)
    await copy_volume(volumes.source, volumes.target, volumes.image)
    copied = (await volumes.inside(volumes.target, _LOOK)).splitlines()
    assert copied == ["layer d 710 ", "layer/file f 644 ", "layer/gone c 600 ", "link l 777 layer", "y"]
    await volumes.inside(volumes.target, "echo used > layer/file")
    await copy_volume(volumes.source, volumes.target, volumes.image)
    assert await volumes.inside(volumes.target, "cat layer/file") == "used"


@pytest.mark.parametrize("end", ["made anew", "removed"])
async def test_half_a_copy_does_not_stay(volumes: Volumes, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    await volumes.prepare()
    with monkeypatch.context() as cut:
        cut.setattr(engine_volumes, "_COPY", engine_volumes._COPY.replace("/from/. .", "/from/. . && exit 9"))
        with pytest.raises(OrchestratorError):
            await copy_volume(volumes.source, volumes.target, volumes.image)
    await volumes.inside(volumes.target, "rm layer/file && echo left-over > layer/other")
    if end == "made anew":
        await copy_volume(volumes.source, volumes.target, volumes.image)
        assert await volumes.inside(volumes.target, "ls layer") == "file\ngone"
    else:
        await remove_half_copy(volumes.target, volumes.image)
        assert await volumes.inside(volumes.target, "ls -A") == ""


async def test_what_an_engine_has_used_is_no_half_copy(volumes: Volumes) -> None:
    await volumes.inside(volumes.target, "echo used > file")
    await remove_half_copy(volumes.target, volumes.image)
    assert await volumes.inside(volumes.target, "cat file") == "used"


async def test_a_volume_can_be_removed_while_it_is_filled(volumes: Volumes) -> None:
    filler = ("--name", engine_volumes._filler(volumes.target), "--volume", f"{volumes.target}:/to")
    await docker.run("run", "--detach", *filler, volumes.image, "sleep", "600")
    await remove_volume(volumes.target)
    assert (await docker.try_run("volume", "inspect", volumes.target)).code == 1
