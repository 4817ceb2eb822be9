"""What is made of the engine's word about a container that has ended."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from activities.adapters.containers import engine as docker_engine
from activities.adapters.containers import runs as container_runs
from activities.adapters.containers.engine import MARK, ContainerState, DockerContainerEngine
from activities.adapters.containers.runs import TIMEOUT_LABEL, ContainerRuns
from activities.adapters.runs.states import RunStatus

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NEVER = "0001-01-01T00:00:00Z"


class Engine:
    """Knows one container, as the engine itself tells of it; see `status`."""

    def __init__(self, told: dict[str, Any], limit_s: int, said: str | None) -> None:
        labels = {MARK: "1", TIMEOUT_LABEL: str(limit_s)}
        facts = {"Id": "0123456789abcdef", "State": {"OOMKilled": False, **told}, "Config": {"Labels": labels}}
        self._state = docker_engine._state("turn-1", facts)
        self._said = said

    async def inspect(self, name: str) -> ContainerState | None:
        return self._state if name == self._state.name else None

    async def read_file(self, name: str, path: str, limit: int) -> bytes | None:
        known = (name, path) == ("turn-1", "/home/worker/.run/0123456789ab/ended")
        return self._said.encode() if known and self._said is not None else None


async def status(
    tmp_path: Path, code: int, lasted_s: float | None, said: str | None = None, *, start_seen: bool = True
) -> RunStatus:
    """`lasted_s` None: the engine was down when it ended, as Docker before 23 shows it.

    Without `start_seen` the engine was killed in the middle of the start, and took the container over later.
    """

    ended = NEVER if lasted_s is None else (BEGAN + timedelta(seconds=lasted_s)).isoformat()
    told = {
        "Status": "exited" if start_seen else "created",
        "ExitCode": code,
        "StartedAt": BEGAN.isoformat() if start_seen else NEVER,
        "FinishedAt": ended,
    }
    engine: Any = Engine(told, limit_s=60, said=said)
    return await ContainerRuns(cast("DockerContainerEngine", engine), tmp_path).status("turn-1")


@pytest.mark.parametrize(("code", "lasted_s"), [(124, 60.1), (124, 58.2), (137, 65.0), (137, 61.4)])
async def test_a_command_over_its_time_is_known_although_the_engine_wrote_its_start_down_late(
    tmp_path: Path, code: int, lasted_s: float
) -> None:
    found = await status(tmp_path, code, lasted_s)
    assert (found.state, found.timed_out, found.exit_code) == ("exited", True, code)


@pytest.mark.parametrize(
    ("code", "lasted_s", "state"),
    [(124, 3.0, "exited"), (137, 59.0, "lost"), (1, 61.0, "exited"), (143, 61.0, "lost"), (0, 70.0, "exited")],
)
async def test_whatever_else_ended_it_is_no_timeout(tmp_path: Path, code: int, lasted_s: float, state: str) -> None:
    found = await status(tmp_path, code, lasted_s)
    assert (found.state, found.timed_out) == (state, False)


async def test_a_zero_of_the_engine_is_compared_with_what_the_launcher_wrote_down(tmp_path: Path) -> None:
    """Docker 20.10 that comes back just as a command ends may say 0, with a time."""
    agreed, corrected = await status(tmp_path, 0, 12.4, "0 12\n"), await status(tmp_path, 0, 12.4, "7 12\n")
    assert (agreed.state, agreed.exit_code, agreed.unseen) == ("exited", 0, False)
    assert (corrected.state, corrected.exit_code, corrected.unseen) == ("exited", 7, True)


@pytest.mark.parametrize(("code", "lasted_s"), [(0, None), (255, 70.0), (255, None)])
@pytest.mark.parametrize(
    ("said", "state", "found_code", "timed_out"),
    [
        ("0 12\n", "exited", 0, False),
        ("7 12\n", "exited", 7, False),
        ("124 60\n", "exited", 124, True),
        ("124 3\n", "exited", 124, False),
        ("255 12\n", "exited", 255, False),
        (None, "lost", None, False),
        ("", "lost", None, False),
        ("all is well\n", "lost", None, False),
    ],
)
async def test_an_end_that_the_engine_did_not_see_is_what_the_launcher_wrote_down(
    tmp_path: Path,
    code: int,
    lasted_s: float | None,
    said: str | None,
    state: str,
    found_code: int | None,
    timed_out: bool,
) -> None:
    found = await status(tmp_path, code, lasted_s, said)
    assert (found.state, found.exit_code, found.timed_out) == (state, found_code, timed_out)
    assert found.unseen == (state == "exited")


async def test_an_end_that_the_engine_saw_is_not_asked_for(tmp_path: Path) -> None:
    assert (await status(tmp_path, 3, 12.0, said="0 12\n")).exit_code == 3


@pytest.mark.parametrize(
    ("code", "said", "state", "timed_out"),
    [
        (7, "7 12\n", "exited", False),
        (124, "124 60\n", "exited", True),
        (7, None, "exited", False),
        (137, None, "lost", False),
        (255, "0 12\n", "exited", False),
        (255, None, "lost", False),
        (0, "7 12\n", "exited", False),
    ],
)
async def test_a_command_whose_start_the_engine_did_not_see_has_ended_all_the_same(
    tmp_path: Path, code: int, said: str | None, state: str, timed_out: bool
) -> None:
    found = await status(tmp_path, code, 70.0, said, start_seen=False)
    assert (found.state, found.timed_out) == (state, timed_out)
    if state == "exited":
        assert found.exit_code == (int(said.split()[0]) if said else code)


async def test_a_container_that_has_not_been_started_is_absent(tmp_path: Path) -> None:
    assert (await status(tmp_path, 0, None, start_seen=False)).state == "absent"


async def test_the_copy_of_an_output_never_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The follower may be killed at any moment, also the first one."""
    seen: list[list[Path]] = []

    class Looking(container_runs.BoundedLog):
        def __init__(self, to: Path | int) -> None:
            seen.append([path for path in tmp_path.rglob("*") if path.is_file()])
            super().__init__(to)

    monkeypatch.setattr(container_runs, "BoundedLog", Looking)
    engine: Any = Engine({"Status": "exited", "ExitCode": 0, "StartedAt": NEVER, "FinishedAt": NEVER}, 60, None)
    async with ContainerRuns(cast("DockerContainerEngine", engine), tmp_path).output("turn-1"):
        seen.append([path for path in tmp_path.rglob("*") if path.is_file()])
    assert seen == [[], []]
