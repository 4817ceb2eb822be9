"""What /proc says about processes. Linux only; standard library only: the detached supervisor imports it too."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MARKER = "ORCHESTRATOR_RUN"
"""Environment variable that names the run a process belongs to: `<name>:<instance>`."""

_PROC = Path("/proc")
_DEAD = frozenset("ZX")


@dataclass(frozen=True)
class ProcessEntry:
    """One line of the process table. `start_ticks` tells a process from a later one with the same pid."""

    pid: int
    parent: int
    session: int
    start_ticks: int
    state: str

    @property
    def alive(self) -> bool:
        return self.state not in _DEAD


def boot_id() -> str:
    """Pids and start times mean nothing after a reboot, so records carry this."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def entry(pid: int) -> ProcessEntry | None:
    """The process with this pid, zombies included; None when there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The program's name is in parentheses and may itself hold spaces and parentheses.
    fields = text[text.rindex(")") + 2 :].split()
    return ProcessEntry(pid, int(fields[1]), int(fields[3]), int(fields[19]), fields[0])


def entries() -> list[ProcessEntry]:
    """Every process that can be seen."""
    found = (entry(int(name)) for name in os.listdir(_PROC) if name.isdigit())
    return [one for one in found if one is not None]


def same_process(pid: int, start_ticks: int) -> bool:
    """Whether the process that was recorded is still alive (a zombie is not)."""
    now = entry(pid)
    return now is not None and now.alive and now.start_ticks == start_ticks


def descendants(roots: Iterable[int], table: list[ProcessEntry]) -> set[int]:
    """Living processes below `roots`; the roots themselves are not included."""
    children: dict[int, list[ProcessEntry]] = {}
    for one in table:
        children.setdefault(one.parent, []).append(one)
    found: set[int] = set()
    waiting = list(roots)
    seen = set(waiting)
    while waiting:
        for child in children.get(waiting.pop(), []):
            if child.pid in seen:
                continue
            seen.add(child.pid)
            waiting.append(child.pid)
            if child.alive:
                found.add(child.pid)
    return found


def carries(pid: int, marker: str) -> bool:
    """Whether the process was started with `ORCHESTRATOR_RUN=<marker>` in its environment."""
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return f"{MARKER}={marker}".encode() in environment.split(b"\0")


def signal_all(pids: Iterable[int], number: int) -> None:
    """Send a signal to each; one that has ended meanwhile is what we wanted."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
