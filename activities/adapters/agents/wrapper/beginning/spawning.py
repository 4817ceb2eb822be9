"""How the agent's program begins before there is an event loop, which takes longer to import than all of this."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spawned:
    """A process in a group of its own, and our ends of its pipes: descriptors, each of them ours to close."""

    process: subprocess.Popen[bytes]
    input: int
    output: int
    errors: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def exit_code(self) -> int:
        """Of a process that has ended; negative for a signal."""
        return self.process.wait()


def spawn(argv: Sequence[str], environment: Mapping[str, str], workspace: str) -> Spawned:
    """Raises OSError for a program that cannot be started."""
    (in_read, in_write), (out_read, out_write), (error_read, error_write) = os.pipe(), os.pipe(), os.pipe()
    try:
        process = subprocess.Popen(
            argv, stdin=in_read, stdout=out_write, stderr=error_write, env=dict(environment), cwd=workspace,
            start_new_session=True,
        )  # fmt: skip
    except OSError:
        for descriptor in (in_write, out_read, error_read):
            os.close(descriptor)
        raise
    finally:
        for descriptor in (in_read, out_write, error_write):
            os.close(descriptor)
    return Spawned(process, in_write, out_read, error_read)


def new_session_id() -> str:
    """A random UUID; the module for it would be imported for nothing else."""
    number = bytearray(os.urandom(16))
    number[6], number[8] = number[6] & 0x0F | 0x40, number[8] & 0x3F | 0x80
    digits = number.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
