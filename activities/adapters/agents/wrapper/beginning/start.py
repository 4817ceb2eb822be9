"""What comes before the event loop: the order is taken, the way to the model listens, the agent's program begins.

An event loop takes longer to import than all of this, and an agent takes some time to start: they do so side by side.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..ended import cannot_start
from ..job import TOKEN_VARIABLE, Job, environment_of, remove_token, taken, write_files
from .order import taken_order
from .spawning import Spawned, new_session_id, spawn

NOT_TOLD = 75
_BACKLOG = 128


@dataclass
class Started:
    """A turn that has begun. `session_id` is the one that was chosen for a new session, empty if none was.

    `signalled`: TERM or INT came before somebody else looked for it. `problem` is why there is no process.
    """

    job: Job
    token: str
    home: Path
    listener: socket.socket | None = None
    spawned: Spawned | None = None
    session_id: str = ""
    problem: str = ""
    signalled: list[int] = field(default_factory=list)


def started(job: Job, token: str, home: Path) -> Started:
    """Put the agent's configuration in its place, listen where it will ask for its model, and start it."""
    turn = Started(job, token, home)
    write_files(job, home, token)
    if job.model_socket:
        # Before the agent starts: a connection waits here until somebody takes it.
        turn.listener = socket.create_server(("127.0.0.1", job.model_port), backlog=_BACKLOG)
    continues = job.session_id is not None
    if job.runner == "exec" and job.names_session and not continues:
        turn.session_id = new_session_id()
    argv = job.arguments(job.session_id or turn.session_id, continues=continues) if job.runner == "exec" else job.argv
    try:
        turn.spawned = spawn(argv, environment_of(job), job.workspace)
    except OSError as error:
        turn.problem = cannot_start(argv, error)
    return turn


def main(arguments: Sequence[str]) -> int:
    """`python /opt/agent_wrapper JOB`."""
    if len(arguments) != 1:
        sys.stderr.write("usage: agent_wrapper JOB\n")
        return 2
    if not taken_order():
        return NOT_TOLD
    signalled: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signalled.append(number))
    job, home = taken(Path(arguments[0])), Path(os.environ["HOME"])
    try:
        turn = replace(started(job, os.environ.get(TOKEN_VARIABLE, ""), home), signalled=signalled)
        return int(importlib.import_module(f"{__package__.rpartition('.')[0]}.turn").run(turn))
    finally:
        remove_token(job, home)
