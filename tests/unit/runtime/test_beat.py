"""A process that is stopped exists, and is told from one that works."""

import asyncio
import os
import time
from pathlib import Path

from runtime import beat


def test_a_file_that_is_touched_is_a_sign_of_life(tmp_path: Path) -> None:
    file = tmp_path / "ready"
    assert beat.quiet_for(file) is None
    file.touch()
    os.utime(file, (0, time.time() - 100))
    assert 99 < (beat.quiet_for(file) or 0) < 200

    async def once() -> None:
        beating = asyncio.create_task(beat.beat(file))
        await asyncio.sleep(0.1)
        beating.cancel()

    asyncio.run(once())
    assert (beat.quiet_for(file) or 0) < 50


def test_a_beat_does_not_bring_back_a_file_that_was_removed(tmp_path: Path) -> None:
    async def once() -> None:
        beating = asyncio.create_task(beat.beat(tmp_path / "gone"))
        await asyncio.sleep(0.1)
        assert not beating.done()
        beating.cancel()

    asyncio.run(once())
    assert not (tmp_path / "gone").exists()


class Watched:
    """A watched file, and a clock that only the test moves."""

    def __init__(self, file: Path) -> None:
        self.file, self.now, self.looks = file, 0.0, 0
        self.hung = asyncio.create_task(beat.until_hung(file, hung_s=45, look_s=0.001, clock=self.clock))

    def clock(self) -> float:
        self.looks += 1
        return self.now

    async def later(self, seconds: float, *, beats: bool) -> bool:
        """Whether it is called hung after so many seconds."""
        if beats:
            os.utime(self.file, (0, 1_000 + self.now))
        self.now += seconds
        enough = self.looks + 4
        while self.looks < enough and not self.hung.done() and self.file.exists():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        return self.hung.done()


async def test_one_that_beats_is_not_hung_and_one_that_stops_is(tmp_path: Path) -> None:
    file = tmp_path / "ready"
    file.touch()
    watched = Watched(file)
    assert [await watched.later(30, beats=True) for _ in range(5)] == [False] * 5
    assert [await watched.later(20, beats=False) for _ in range(3)] == [False, False, True]


async def test_one_that_has_never_been_ready_is_not_hung(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "ready")
    assert not await watched.later(1_000, beats=False)
    watched.hung.cancel()
