"""How the agent's program begins before there is an event loop, which takes longer to import than all of this."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_ASKED_OF_US = [signal.SIGINT, signal.SIGTERM, signal.SIGPIPE]
"""What Python, or the wrapper, has changed for itself."""


@dataclass(frozen=True)
class Spawned:
    """A process in a group of its own, and our ends of its pipes: descriptors, each of them ours to close."""

    pid: int
    input: int
    output: int
    errors: int

    def exit_code(self) -> int:
        """Of a process that has ended; negative for a signal. Asked for once."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def spawn(argv: Sequence[str], environment: Mapping[str, str], workspace: str) -> Spawned:
    """Start the program in `workspace`. Raises OSError for what cannot be started.

    `subprocess` would be imported for nothing else, and takes a third of what is imported until here.
    """
    (in_read, in_write), (out_read, out_write), (error_read, error_write) = os.pipe(), os.pipe(), os.pipe()
    here = os.open(".", os.O_RDONLY)
    try:
        # A process is started where its parent is.
        os.chdir(workspace)
        pid = os.posix_spawnp(
            argv[0], list(argv), environment, setsid=True, setsigdef=_ASKED_OF_US,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, in_read, 0), (os.POSIX_SPAWN_DUP2, out_write, 1),
                (os.POSIX_SPAWN_DUP2, error_write, 2),
            ],
        )  # fmt: skip
    except OSError:
        for descriptor in (in_write, out_read, error_read):
            os.close(descriptor)
        raise
    finally:
        os.fchdir(here)
        for descriptor in (here, in_read, out_write, error_write):
            os.close(descriptor)
    return Spawned(pid, in_write, out_read, error_read)


def new_session_id() -> str:
    """A random UUID; the module for it would be imported for nothing else."""
    number = bytearray(os.urandom(16))
    number[6], number[8] = number[6] & 0x0F | 0x40, number[8] & 0x3F | 0x80
    digits = number.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
