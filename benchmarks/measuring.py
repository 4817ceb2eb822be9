"""What every benchmark needs: facts of the machine, the spread of a sample, the ratio of pairs."""

from __future__ import annotations

import platform
import random
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from runtime.embedded import dev_server

_CALM_PCT = 20
_LOOK_S = 2.0
_RESAMPLES = 4_000
_GIB = 1024**3


@dataclass(frozen=True)
class Spread:
    """A sample in five numbers; `p95` is the nearest value of the sample."""

    count: int
    p25: float
    p50: float
    p75: float
    p95: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        ordered = sorted(values)
        quarters = statistics.quantiles(ordered, n=4, method="inclusive") if len(ordered) > 1 else ordered * 3
        nearest = min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))
        return cls(len(ordered), quarters[0], quarters[1], quarters[2], ordered[nearest], ordered[-1])


@dataclass(frozen=True)
class Ratio:
    """The median of ratios of pairs, its quartiles, and the interval in which 95 % of resampled medians lie."""

    pairs: int
    median: float
    p25: float
    p75: float
    low: float
    high: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> Ratio:
        """Of (ours, theirs); the resampling has a fixed seed, so that the same pairs give the same interval."""
        ratios = [ours / theirs for ours, theirs in pairs]
        chance = random.Random(0)
        medians = sorted(statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(_RESAMPLES))
        spread = Spread.of(ratios)
        edge = round(0.025 * _RESAMPLES)
        return cls(len(ratios), spread.p50, spread.p25, spread.p75, medians[edge], medians[-edge - 1])

    @classmethod
    def of_laps(cls, pairs: Sequence[tuple[Lap, Lap]]) -> Ratio:
        """On the clock."""
        return cls.of([(ours.wall, theirs.wall) for ours, theirs in pairs])

    def __str__(self) -> str:
        return f"{self.median:.2f} (quartiles {self.p25:.2f} to {self.p75:.2f}, 95 % {self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Machine:
    """Where the figures come from, and how busy it was when the benchmark began."""

    cores: int
    processor: str
    memory_gib: float
    kernel: str
    python: str
    versions: dict[str, str]
    busy_pct: float

    @property
    def warning(self) -> str | None:
        """None on a machine that was calm enough to be believed."""
        if self.busy_pct <= _CALM_PCT:
            return None
        return f"The processor was busy for {self.busy_pct:.0f} % before the start: others were working, repeat it."

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return (
            f"{self.cores} cores of {self.processor}, {self.memory_gib:.0f} GiB, Linux {self.kernel}, "
            f"Python {self.python}, {parts}; before the start the processor was busy for {self.busy_pct:.0f} %"
        )


def this_machine() -> Machine:
    """Looks now; call it before anything is started."""
    # Not the load average: that still remembers the benchmark before.
    busy_pct = psutil.cpu_percent(interval=_LOOK_S)
    return Machine(
        cores=psutil.cpu_count() or 1,
        processor=_processor(),
        memory_gib=psutil.virtual_memory().total / _GIB,
        kernel=platform.release(),
        python=platform.python_version(),
        versions={
            "temporalio": version("temporalio"),
            "langgraph": version("langgraph"),
            "Temporal Server": _said([str(dev_server.temporal_program()), "--version"], after="Server "),
            "Docker": _said(["docker", "version", "--format", "{{.Server.Version}}"]),
        },
        busy_pct=busy_pct,
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _said(command: list[str], after: str = "") -> str:
    """The version in what a program says; "none" when it is not there or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "none"
    return done.stdout.partition(after)[2].split(",")[0].strip(" ()\n") if after else done.stdout.strip()


@dataclass(frozen=True)
class Lap:
    """One run of something: milliseconds on the clock, and of the processor in this process."""

    wall: float
    cpu: float


async def timed(work: Callable[[], Awaitable[object]]) -> Lap:
    """How long the work takes."""
    started, used = time.perf_counter(), time.process_time()
    await work()
    return Lap((time.perf_counter() - started) * 1000, (time.process_time() - used) * 1000)


async def interleaved(
    ours: Callable[[], Awaitable[object]], theirs: Callable[[], Awaitable[object]], pairs: int
) -> list[tuple[Lap, Lap]]:
    """`pairs` runs of both, one after the other; who is first alternates, so that drift cancels out."""
    measured = []
    for number in range(pairs):
        if number % 2:
            second = await timed(theirs)
            measured.append((await timed(ours), second))
        else:
            first = await timed(ours)
            measured.append((first, await timed(theirs)))
    return measured


def resident_mib(pid: int | None = None) -> float:
    """Memory that a process holds."""
    return float(psutil.Process(pid).memory_info().rss) / 1024**2
