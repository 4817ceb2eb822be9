"""What is known of a run, whatever it runs as."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

RunState = Literal["absent", "running", "exited", "lost"]


@dataclass(frozen=True)
class RunAs:
    """The numeric user that a command drops to; possible for root only."""

    uid: int
    gid: int


@dataclass(frozen=True)
class RunStatus:
    """`exit_code` is negative for a signal, as in subprocess. `lost`: the supervisor died before the end.

    `pid` is the command's own process; its session id is the same number. None between two starts of a service.
    `unseen`: no program watched the end. The exit code is known, the last output may be missing.
    """

    name: str
    state: RunState
    pid: int | None = None
    exit_code: int | None = None
    restarts: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    timed_out: bool = False
    stopped: bool = False
    unseen: bool = False
    run_as_uid: int | None = None
