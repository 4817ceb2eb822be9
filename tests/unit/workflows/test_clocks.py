"""A clock that jumps must not end, repeat or hold up anything: durations are never taken from the wall clock."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("activities", "api", "bot", "cli", "emulators", "runtime", "workers", "workflows")
WALL = re.compile(r"\btime\.time\b|\bdatetime\.now\(|\butc_now\(\)|\bdatetime\.utcnow\b")

ALLOWED = {
    "activities/adapters/agents/scripted/session/cli.py": "writes into the agent's own log when something was",
    "activities/adapters/containers/images/builder.py": "the age of records; what goes too early is built again",
    "activities/adapters/containers/images/environments.py": "a jump costs one try more",
    "activities/adapters/release/containers.py": "records of the engine, by the same clock; a jump may hide a prune",
    "activities/adapters/release/directory.py": "names a directory after the day on which it was removed",
    "activities/adapters/runs/supervise_main.py": "writes down when a run began and ended; nothing is computed from it",
    "activities/health.py": "tells people since when a service is as it is",
    "activities/maintenance.py": "how long a task has been silent; one that is looked at too early is found to run",
    "api/auth.py": "a token ends at a moment that its bearer was told",
    "api/bootstrap.py": "created_at",
    "api/chat/queries.py": "created_at and updated_at; marks of a week ago go, and Telegram offers an update for a day",
    "api/checks/queries.py": "kept_at, proposed_at and dropped_at",
    "api/costs/routes.py": "which month is meant when none is named",
    "api/credentials/queries.py": "a credential ends at a moment that its bearer was told; ended ones go a week later",
    "api/edge/rates.py": "tells a caller how long to wait; the library's windows of a minute are of the wall clock",
    "api/internal/routes.py": "which artifacts are older than the days that their project keeps them",
    "api/leaving/queries.py": "created_at and updated_at",
    "activities/adapters/backups.py": "whether a week has passed; a jump costs one comparison more, or delays one",
    "api/model_proxy/accounts.py": "a usage window ends at a moment that the vendor has told",
    "api/model_proxy/exchange.py": "answered_at, and the moment that a vendor's retry-after names",
    "api/model_proxy/ledger.py": "started_at and ended_at; budgets of a month go by the calendar",
    "api/memory/queries.py": "edited_at and updated_at",
    "api/models/estimates.py": "estimated_at",
    "api/models/raising.py": "raised_at; the budget of a month goes by the calendar",
    "api/models/spending.py": "the budget of a month goes by the calendar",
    "api/models/turns.py": "opened_at and ended_at; a window ends at a moment that the vendor has told",
    "api/projects/queries.py": "created_at and updated_at",
    "api/projects/removal.py": "deleted_at and updated_at",
    "api/projects/transfer.py": "updated_at",
    "api/queues/disks.py": "tells people since when",
    "api/queues/tracker.py": "tells people since when",
    "api/queues/watch.py": "tells people since when; what is dead is decided by the loop's clock",
    "api/releases/recording.py": "updated_at",
    "api/secrets/queries.py": "shown_at",
    "api/servers/approvals.py": "created_at and used_at; an approval ends at a moment that people are told",
    "api/servers/queries.py": "created_at",
    "api/tasks/projections.py": "created_at and updated_at",
    "api/tasks/replies.py": "created_at of a task whose row is not there yet",
    "api/vault.py": "updated_at",
    "api/web_ui/sessions.py": "a link and a cookie end at a moment, also across restarts",
    "api/workers/queries.py": "created_at and updated_at",
    "api/workers/replies.py": "created_at and updated_at of a record that is not there yet",
    "bot/conversation/meaning.py": "whether a secret arrived too late, judged by times from the database's rows",
    "bot/sending/client.py": "the date of a message that is known already, which nothing reads",
    "bot/tasks/task_message.py": "days after which a chat that is closed is not tried again",
    "cli/host/backup_facts.py": "one look at the age of a backup, for a person to judge",
    "cli/host/doctor.py": "one look at the age of heartbeats, for a person to judge",
    "cli/host/status.py": "whether a look is newer than the question; a jump costs one look more",
    "cli/terminal/tables.py": "tells people how old something is",
    "emulators/model/formats/chat.py": "when an answer was made, as the API has it",
    "emulators/model/formats/messages.py": "when a usage window ends, as the API has it",
    "emulators/model/formats/responses.py": "when an answer was made, as the API has it",
    "emulators/model/records.py": "when a request came, for whoever reads the record",
    "emulators/time4vps/account.py": "when a task was made and completed, as the API has it",
    "emulators/telegram/telegram.py": "the date of a message, as the Bot API has it",
    "emulators/telegram/webhook.py": "the date of the last error, as the Bot API has it",
    "runtime/backups/making.py": "made_at",
    "runtime/backups/restoring.py": "tells people since when",
    "runtime/backups/states.py": "tells people since when",
    "runtime/beat.py": "one look at the age of a beat, for a person to judge; what hangs is ended by a steady clock",
    "workers/held_steps.py": "how long ago another process began a step; a jump counts one death of a hundred too much",
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
