"""Who uses the processor of this machine: shares by kind of program, sampled while something else is measured."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil

_PAUSE_S = 0.5

# The first of these words in the command line decides.
KINDS = (
    ("temporal", "Temporal server"),
    ("postgres", "PostgreSQL"),
    ("-m workers", "Temporal workers"),
    ("-m api", "API"),
    ("ansible", "Ansible"),
    ("runner", "Ansible"),
    ("scripted_agent", "agent"),
    ("agents/scripted", "agent"),
    ("pip", "pip"),
    ("mypy", "project's checks"),
    ("ruff", "project's checks"),
    ("pytest", "project's checks"),
    ("dockerd", "Docker Engine"),
    ("containerd", "Docker Engine"),
    ("runc", "Docker Engine"),
    ("services.", "deployed services"),
    ("git", "git"),
)
OTHER = "short-lived and other processes"


@dataclass
class Shares:
    """Seconds of processor by kind, of `cores` during `seconds`."""

    cores: int = field(default_factory=lambda: psutil.cpu_count() or 1)
    seconds: float = 0.0
    used: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def busy(self) -> float:
        """The part of the machine that was used, 0 to 1."""
        return sum(self.used.values()) / (self.cores * self.seconds) if self.seconds else 0.0

    def rows(self) -> list[list[str]]:
        """Kinds with their part of what was used, the largest first."""
        total = sum(self.used.values()) or 1.0
        largest_first = sorted(self.used.items(), key=lambda item: -item[1])
        return [[kind, f"{used:.0f} s", f"{used / total:.0%}"] for kind, used in largest_first if used >= 1]


@asynccontextmanager
async def sampled() -> AsyncIterator[Shares]:
    """Samples until the block ends. A process is counted up to the last time it was seen."""
    shares, known = Shares(), {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            known[(process.pid, process.create_time())] = _cpu(process)
    started, busy = time.monotonic(), _busy()
    sampling = asyncio.create_task(_sample(shares, known))
    try:
        yield shares
    finally:
        sampling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sampling
        shares.seconds = time.monotonic() - started
        shares.used[OTHER] += max(0.0, _busy() - busy - sum(shares.used.values()))


async def _sample(shares: Shares, known: dict[tuple[int, float], float]) -> None:
    while True:
        await asyncio.to_thread(_look, shares, known)
        await asyncio.sleep(_PAUSE_S)


def _look(shares: Shares, known: dict[tuple[int, float], float]) -> None:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            key, used = (process.pid, process.create_time()), _cpu(process)
            shares.used[_kind(process)] += used - known.get(key, 0.0)
            known[key] = used


def _kind(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    return next((kind for word, kind in KINDS if word in line), OTHER)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _busy() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
