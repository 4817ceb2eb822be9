"""A process that is stopped exists, and is told from one that works."""

import asyncio
import os
import time
from pathlib import Path

from runtime import beat
from tests.support.patience import within


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


async def _is_called_hung(file: Path, *, beats: bool, for_s: float) -> bool:
    hung = asyncio.create_task(beat.until_hung(file, hung_s=0.4, look_s=0.02))
    end = asyncio.get_running_loop().time() + for_s
    while asyncio.get_running_loop().time() < end and not hung.done():
        if beats:
            file.touch()
        await asyncio.sleep(0.02)
    called = hung.done()
    hung.cancel()
    return called


def test_one_that_beats_is_not_hung_and_one_that_stops_is(tmp_path: Path) -> None:
    file = tmp_path / "ready"
    file.touch()
    assert not asyncio.run(_is_called_hung(file, beats=True, for_s=1.2))
    asyncio.run(within(beat.until_hung(file, hung_s=0.4, look_s=0.02), 10))


def test_one_that_has_never_been_ready_is_not_hung(tmp_path: Path) -> None:
    assert not asyncio.run(_is_called_hung(tmp_path / "ready", beats=False, for_s=0.8))
