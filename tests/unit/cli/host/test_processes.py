"""Processes of `up`: found again by a later program, stopped by record and never by name."""

import os
import signal
import sys
from pathlib import Path

import pytest

from cli.host.processes import Command, ProcessBook, ended, start_time
from tests.support.eventually import eventually


@pytest.fixture
def book(tmp_path: Path) -> ProcessBook:
    return ProcessBook(tmp_path / "processes", tmp_path / "logs")


def program(code: str, tmp_path: Path, grace_s: float = 5.0) -> Command:
    return Command([sys.executable, "-u", "-c", code], dict(os.environ), tmp_path, grace_s=grace_s)


async def test_a_second_book_finds_and_stops_what_the_first_started(book: ProcessBook, tmp_path: Path) -> None:
    started = book.start("api", program("import signal; signal.pause()", tmp_path))
    later = ProcessBook(tmp_path / "processes", tmp_path / "logs")
    assert later.record("api") == started
    assert await later.stop("api") == started.pid
    assert start_time(started.pid) is None
    assert later.record("api") is None
    assert await later.stop("api") is None


async def test_a_process_that_ignores_its_signal_is_killed(book: ProcessBook, tmp_path: Path) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); signal.pause()"
    started = book.start("deaf", program(code, tmp_path, grace_s=1.0))
    await eventually(lambda: "deaf" in book.last_words("deaf"))
    assert await book.stop("deaf") == started.pid
    assert start_time(started.pid) is None


async def test_a_pid_that_belongs_to_another_program_now_is_never_touched(book: ProcessBook, tmp_path: Path) -> None:
    stranger = book.start("stranger", program("import signal; signal.pause()", tmp_path))
    record_file = tmp_path / "processes" / "api.json"
    record_file.write_text(f'{{"pid": {stranger.pid}, "started": "1"}}')
    assert book.record("api") is None
    assert await book.stop("api") is None
    assert start_time(stranger.pid) == stranger.started
    await book.stop("stranger")


async def test_the_end_of_a_process_is_noticed_immediately_and_its_log_says_why(
    book: ProcessBook, tmp_path: Path
) -> None:
    started = book.start("short", program("print('no such thing'); raise SystemExit(3)", tmp_path))
    assert await ended(started, timeout_s=10)
    assert book.record("short") is None
    assert book.last_words("short") == "no such thing"
    assert book.log_file("short").stat().st_mode & 0o777 == 0o600


async def test_ctrl_c_at_the_terminal_does_not_reach_a_part(book: ProcessBook, tmp_path: Path) -> None:
    started = book.start("part", program("import signal; signal.pause()", tmp_path))
    assert os.getpgid(started.pid) != os.getpgid(0)
    os.kill(started.pid, signal.SIGKILL)
    assert await ended(started, timeout_s=10)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": 99999999, "started": "1"}'])
def test_a_damaged_record_is_no_record(book: ProcessBook, tmp_path: Path, content: str) -> None:
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "api.json").write_text(content)
    assert book.record("api") is None
