"""What is made of the engine's word about a container that has ended."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from activities.adapters.container_runs import TIMEOUT_LABEL, ContainerRuns
from activities.adapters.docker_engine import ContainerState, DockerContainerEngine
from activities.adapters.supervision import RunStatus


class Engine:
    """Knows one container. `lasted_s` None: it was away when that ended, as Docker before 23 shows it."""

    def __init__(self, code: int, lasted_s: float | None, limit_s: int, said: str | None) -> None:
        began = datetime(2026, 1, 1, tzinfo=UTC)
        ended = None if lasted_s is None else began + timedelta(seconds=lasted_s)
        labels = {TIMEOUT_LABEL: str(limit_s)}
        self._state = ContainerState("turn-1", "0123456789abcdef", "exited", code, False, began, ended, labels)
        self._said = said

    async def inspect(self, name: str) -> ContainerState | None:
        return self._state if name == self._state.name else None

    async def read_file(self, name: str, path: str, limit: int) -> bytes | None:
        known = (name, path) == ("turn-1", "/home/worker/.run/0123456789ab/ended")
        return self._said.encode() if known and self._said is not None else None


async def status(tmp_path: Path, code: int, lasted_s: float | None, said: str | None = None) -> RunStatus:
    engine: Any = Engine(code, lasted_s, limit_s=60, said=said)
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
