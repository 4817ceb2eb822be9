"""What `status` and `doctor` say of Temporal workers: alive is who does something, wherever it was started."""

import asyncio
import os
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from cli.host import doctor, supervision
from cli.host.health import trouble_of
from cli.host.parts import WORKERS, Parts
from cli.terminal.output import Output
from contracts.base import utc_now
from contracts.nouns import QueueDTO
from runtime import private_files
from runtime.settings import Settings
from runtime.temporal.task_queues import QueueFacts, WorkerFacts
from tests.support.patience import within


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    found = Parts(Settings(home=tmp_path / "home"))
    private_files.make_directory(found.settings.processes_dir)
    return found


def test_a_stopped_process_hangs_and_is_no_healthy_part(parts: Parts) -> None:
    parts.book.write(WORKERS, os.getpid())
    parts.ready_file.touch()
    assert asyncio.run(trouble_of(parts, WORKERS)) is None
    os.utime(parts.ready_file, (0, time.time() - 60))
    assert "hangs" in (asyncio.run(trouble_of(parts, WORKERS)) or "")


async def test_the_supervisor_ends_a_worker_that_is_stopped_by_a_signal(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When a process counts as hung is `runtime.beat`'s to say, and tested there."""

    async def once_it_is_stopped(file: Path) -> None:
        assert file == parts.ready_file
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)

    monkeypatch.setattr(supervision, "until_hung", once_it_is_stopped)
    process = await asyncio.to_thread(subprocess.Popen, ["sleep", "600"])
    try:
        record = parts.book.write(WORKERS, process.pid)
        watching = asyncio.create_task(supervision._ended_or_hung(parts, WORKERS, record, Output(as_json=False)))
        await asyncio.sleep(0.2)
        assert not watching.done()
        process.send_signal(signal.SIGSTOP)
        await within(watching, 10)
        assert parts.book.record(WORKERS) is None
    finally:
        process.kill()
        process.wait()
    assert "hangs" in capsys.readouterr().out


def facts(*beats_ago: float, polled_ago: float | None, pollers: int = 1) -> QueueFacts:
    now = utc_now()
    workers = [
        WorkerFacts(key=str(ago), queue="agents", beat_at=now - timedelta(seconds=ago), polling=True)
        for ago in beats_ago
    ]
    polled = None if polled_ago is None else now - timedelta(seconds=polled_ago)
    return QueueFacts(name="agents", workers=workers, activity_pollers=pollers, polled_at=polled)


@pytest.mark.parametrize(
    ("beats_ago", "polled_ago", "verdict"),
    [
        ((2,), 2, "ok"),
        ((600,), 600, "problem"),
        ((600, 2), 600, "ok"),
        ((), 600, "problem"),
        ((), 5, "ok"),
        ((), None, "problem"),
    ],
)
def test_connections_that_the_server_remembers_are_no_workers(
    beats_ago: tuple[float, ...], polled_ago: float | None, verdict: str
) -> None:
    found = facts(*beats_ago, polled_ago=polled_ago, pollers=4)
    assert doctor._queue(found, None, Settings()).verdict == verdict


def test_what_the_api_calls_unserved_is_never_ok() -> None:
    watched = QueueDTO(name="agents", workers=0, pollers=4, backlog=1, unserved_since=utc_now())
    finding = doctor._queue(facts(2, polled_ago=2), watched, Settings())
    assert (finding.verdict, "UNSERVED" in finding.found) == ("problem", True)


def test_where_compose_runs_the_parts_no_process_of_ours_is_missed(tmp_path: Path) -> None:
    parts = Parts(Settings(home=tmp_path, stack="compose"))
    assert parts.names == []
    assert "make" not in {check().part for check in doctor._local_checks(parts)}
    finding = doctor._queue(facts(polled_ago=None, pollers=0), None, parts.settings)
    assert "docker-compose up -d" in finding.advice
