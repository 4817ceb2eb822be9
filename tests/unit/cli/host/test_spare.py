"""A spare process of a part: it waits, works once it is needed, and is never left over."""

import sys
from pathlib import Path

import psutil
import pytest

from cli.host.processes import Command, ProcessBook
from cli.host.spare import Spare
from tests.support.eventually import eventually

_WAITS = """
import sys, time
print("loaded", flush=True)
if sys.stdin.readline():
    print("works", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def book(tmp_path: Path) -> ProcessBook:
    return ProcessBook(tmp_path / "processes", tmp_path / "logs")


def _spare(book: ProcessBook, program: str = _WAITS) -> Spare:
    return Spare(book, "workers", Command([sys.executable, "-c", program], {}, Path.cwd()), after_s=0)


async def _said(book: ProcessBook, word: str) -> None:
    async def found() -> bool:
        return word in book.last_words("workers")

    await eventually(found, timeout=20)


def _spares() -> list[int]:
    """Our children that wait: other tests of this process may have some of their own."""
    ours = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child.pid for child in ours if _WAITS in child.cmdline()]


async def test_a_spare_works_only_once_it_is_needed_and_then_it_is_the_part(book: ProcessBook) -> None:
    spare = _spare(book)
    await spare.prepare()
    await _said(book, "loaded")

    assert book.record("workers") is None
    assert spare.begin()
    await _said(book, "works")
    assert (record := book.record("workers")) is not None

    spare.dismiss()
    assert book.record("workers") == record, "what works is not dismissed"
    assert not spare.begin(), "there is one only"
    await book.kill("workers")


async def test_without_a_spare_or_with_a_dead_one_the_part_starts_as_usual(book: ProcessBook) -> None:
    before = set(psutil.Process().children())
    spare = _spare(book, "print('broken')")
    assert not spare.begin()

    await spare.prepare()
    await _said(book, "broken")

    async def dead() -> bool:
        # A process that is ending has no command line any more, but may still have its input open.
        return all(one.status() == psutil.STATUS_ZOMBIE for one in set(psutil.Process().children()) - before)

    await eventually(dead, timeout=20)
    assert not spare.begin()
    assert book.record("workers") is None


async def test_a_dismissed_spare_is_gone(book: ProcessBook) -> None:
    spare = _spare(book)
    await spare.prepare()
    await _said(book, "loaded")
    assert _spares()

    spare.dismiss()
    spare.dismiss()

    assert not _spares()


async def test_a_spare_ends_with_whoever_holds_it(book: ProcessBook, tmp_path: Path) -> None:
    """As when the supervisor is killed: nobody is left to dismiss it."""
    held = book.launch("workers", Command([sys.executable, "-c", _WAITS], {}, tmp_path), held=True)
    assert held.stdin is not None

    held.stdin.close()

    assert held.wait(20) == 0
    assert "works" not in book.last_words("workers")
