"""Releases on a server: what is too old to return to keeps no image and no secrets, and nothing else goes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from activities.adapters.release import directory, program
from activities.adapters.release.directory import ProjectPlace
from activities.adapters.release.order import Order
from contracts.errors import ErrorCode, OrchestratorError


@dataclass
class Images:
    """The services of a project that switch at once, and the images that they have."""

    place: ProjectPlace
    there: set[str] = field(default_factory=set)
    refuses: bool = False

    async def switch(self, release: Any) -> None:
        directory.make_current(self.place, release.release_id)

    async def is_built(self, recorded: dict[str, Any] | None) -> bool:
        return recorded is not None and recorded["release_id"] in self.there

    async def forget(self, release_id: str) -> None:
        if self.refuses:
            raise OrchestratorError.transient(ErrorCode.PLAYBOOK_FAILED, "the engine does not answer")
        self.there.discard(release_id)


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(ProjectPlace(tmp_path / "blog"))


def order(release_id: str, previous: str | None, keep: int) -> Order:
    return replace(
        Order(["switch"], "p-1", "blog", release_id=release_id, commit="a" * 40), previous=previous, keep_releases=keep
    )


async def switch(images: Images, number: int, keep: int, previous: str | None = None) -> dict[str, Any]:
    release_id = f"rel-{number}"
    folder = images.place.release(release_id)
    if not folder.exists():
        (folder / "env").mkdir(parents=True)
        directory.write_environment(images.place, release_id, "backend", {"TOKEN": "secret"})
        manifest = {"release_id": release_id, "commit": "a" * 40, "host": "", "bind": "", "services": []}
        directory.finish_release(images.place, release_id, manifest)
        images.there.add(release_id)
    answer = await program._Work(order(release_id, previous, keep), images.place, cast("Any", images)).switch()
    os.utime(folder / directory.SERVED, (number, number))
    return answer


def built(images: Images) -> set[str]:
    return {path.parent.name for path in (images.place.root / "releases").glob(f"*/{directory.MANIFEST}")}


async def test_the_newest_releases_keep_their_images_and_older_ones_keep_a_mark_only(images: Images) -> None:
    for number in range(1, 6):
        await switch(images, number, keep=3)
    assert images.there == built(images) == {"rel-3", "rel-4", "rel-5"}
    assert {path.name for path in images.place.release("rel-1").iterdir()} == {directory.SERVED}, "no secret is left"


async def test_a_switch_tells_which_releases_can_be_returned_to(images: Images) -> None:
    answers = [await switch(images, number, keep=3) for number in range(1, 6)]
    assert answers[-1] == {"still_built": ["rel-3", "rel-4", "rel-5"]}
    images.there.discard("rel-4")
    assert await switch(images, 5, keep=3) == {"still_built": ["rel-3", "rel-5"]}, "an image that somebody has removed"
    assert await switch(images, 6, keep=0) == {}, "nothing ever goes, so there is nothing to say"


@pytest.mark.parametrize(("step", "commit"), [("build", "a" * 40), ("revert", "COMMIT")])
async def test_a_release_that_is_no_longer_kept_says_what_to_do_instead(images: Images, step: str, commit: str) -> None:
    for number in range(1, 5):
        await switch(images, number, keep=2)
    back = replace(order("rel-1" if step == "build" else "rel-4", "rel-1", 2), image="sha256:1")
    with pytest.raises(OrchestratorError) as refused:
        await getattr(program._Work(back, images.place, cast("Any", images)), step)()
    assert refused.value.code is ErrorCode.RELEASE_NOT_KEPT
    assert "does not keep the image of release rel-1" in refused.value.message
    assert f"`orchestrator deploy start p-1 --commit {commit}`" in refused.value.message


async def test_the_release_to_return_to_stays_however_old_it_is(images: Images) -> None:
    for number in range(1, 5):
        await switch(images, number, keep=0)
    await switch(images, 5, keep=2, previous="rel-1")
    assert images.there == built(images) == {"rel-1", "rel-4", "rel-5"}


async def test_nothing_goes_where_all_are_kept(images: Images) -> None:
    for number in range(1, 9):
        await switch(images, number, keep=0)
    assert len(images.there) == len(built(images)) == 8


async def test_an_engine_that_does_not_answer_fails_no_release_and_is_asked_again(images: Images) -> None:
    images.refuses = True
    for number in range(1, 5):
        await switch(images, number, keep=2)
    assert len(built(images)) == 4
    images.refuses = False
    await switch(images, 5, keep=2)
    assert images.there == built(images) == {"rel-4", "rel-5"}
