"""What is made of the engine's word about a container that has ended."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from activities.adapters.container_runs import TIMEOUT_LABEL, ContainerRuns
from activities.adapters.docker_engine import ContainerState, DockerContainerEngine
from activities.adapters.supervision import RunStatus


class Engine:
    """Knows one container."""

    def __init__(self, code: int, lasted_s: float, limit_s: int) -> None:
        began = datetime(2026, 1, 1, tzinfo=UTC)
        ended = began + timedelta(seconds=lasted_s)
        self._state = ContainerState("turn-1", "exited", code, False, began, ended, {TIMEOUT_LABEL: str(limit_s)})

    async def inspect(self, name: str) -> ContainerState | None:
        return self._state if name == self._state.name else None


async def status(tmp_path: Path, code: int, lasted_s: float) -> RunStatus:
    engine: Any = Engine(code, lasted_s, limit_s=60)
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
