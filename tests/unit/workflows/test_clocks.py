"""A clock that jumps must not end, repeat or hold up anything: durations are never taken from the wall clock."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("activities", "api", "bot", "cli", "emulators", "runtime", "workers", "workflows")
WALL = re.compile(r"\btime\.time\b|\bdatetime\.now\(|\butc_now\(\)|\bdatetime\.utcnow\b")

ALLOWED = {
    "activities/adapters/release/directory.py": "names a directory after the day on which it was removed",
    "activities/adapters/agents/scripted/cli.py": "writes into the agent's own log when something was",
    "activities/adapters/runs/supervise_main.py": "writes down when a run began and ended; nothing is computed from it",
    "api/auth.py": "a token ends at a moment that its bearer was told",
    "api/bootstrap.py": "created_at",
    "api/chat/queries.py": "created_at and updated_at; marks of a week ago go, and Telegram offers an update for a day",
    "api/internal/routes.py": "which artifacts are older than the days that their project keeps them",
    "api/projects/queries.py": "created_at and updated_at",
    "api/queues/disks.py": "tells people since when",
    "api/queues/tracker.py": "tells people since when",
    "api/queues/watch.py": "tells people since when; what is dead is decided by the loop's clock",
    "api/releases/recording.py": "updated_at",
    "api/servers/queries.py": "created_at",
    "api/tasks/projections.py": "created_at and updated_at",
    "api/tasks/replies.py": "created_at of a task whose row is not there yet",
    "api/tokens/queries.py": "a token ends at a moment that its bearer was told",
    "api/vault.py": "updated_at",
    "bot/conversation/meaning.py": "whether a secret arrived too late, judged by times from the database's rows",
    "api/web_ui/sessions.py": "a link and a cookie end at a moment, also across restarts",
    "emulators/telegram/telegram.py": "the date of a message, as the Bot API has it",
    "emulators/telegram/webhook.py": "the date of the last error, as the Bot API has it",
    "cli/host/doctor.py": "one look at the age of heartbeats, for a person to judge",
    "workers/housekeeping.py": "the age of files in days; what goes too early has ended, or is built again",
}
"""Where the wall clock is read, and why a jump does no harm there."""


def readers() -> list[str]:
    files = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))
    return [str(path.relative_to(ROOT)) for path in files if WALL.search(path.read_text())]


@pytest.mark.parametrize("file", readers())
def test_who_reads_the_wall_clock_has_a_reason_that_no_jump_hurts(file: str) -> None:
    assert file in ALLOWED, "use time.monotonic() or the event loop's clock for durations, or say here why not"


def test_no_reason_is_unused() -> None:
    assert set(ALLOWED) == set(readers())
