"""A turn of an agent in a container against `docker run` of the same image and command by hand.

First real Claude Code on a whole platform (`setups/agent_start.py`). Then, without Temporal, a runtime alone: there the
agent is a program that says what the clock shows when it begins, and ends. Measured are the time until then, and
until the turn has ended and been read. By hand is the `docker` program with all the options that the product sets:
what a person would type to get the same container and its output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from activities.adapters.agents.base import Told
from activities.adapters.containers.agent import DockerAgentRuntime
from activities.adapters.containers.engine import MARK, ContainerSpec
from activities.ports import Follow
from benchmarks.measuring import Ratio, Spread
from benchmarks.reporting import Benchmark, Findings, Table, main
from benchmarks.setups.agent_start import first_requests
from contracts.ids import turn_name
from contracts.progress import FineEvent
from tests.support.services.container_service import no_engine
from tests.support.services.runtimes import Bench, DockerRuntime, docker

_PROMPT: dict[str, object] = {"tells": "repr(time.time())"}

_BY_HAND = 5000
"""Turn numbers from here on are names for containers that were started by hand."""


@dataclass(frozen=True)
class Taken:
    """Milliseconds until the agent runs, and until the end."""

    start: float
    end: float

    @classmethod
    def of(cls, started: float, said: str) -> Taken:
        """From the moment of the start and what the agent said."""
        return cls((float(said) - started) * 1000, (time.time() - started) * 1000)


async def measure(options: argparse.Namespace) -> Findings:
    problem = no_engine()
    if problem is not None:
        return Findings([], {}, [f"Not measured: {problem}"])
    real = await first_requests(options.agent_pairs)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        bench = Bench.make(Path(directory), "docker")
        try:
            pairs = await _pairs(bench, options.pairs)
        finally:
            await bench.runtime.close()
    return _findings(pairs, real)


async def _pairs(bench: Bench, count: int) -> list[tuple[Taken, Taken]]:
    await bench.prepare()
    runtime = bench.runtime
    assert isinstance(runtime, DockerRuntime)
    agent = runtime.agent()
    await ours(bench, agent, 1)
    await by_hand(bench, agent, 1)
    pairs = []
    for number in range(2, count + 2):
        if number % 2:
            theirs = await by_hand(bench, agent, number)
            pairs.append((await ours(bench, agent, number), theirs))
        else:
            mine = await ours(bench, agent, number)
            pairs.append((mine, await by_hand(bench, agent, number)))
    return pairs


async def ours(bench: Bench, agent: DockerAgentRuntime, turn: int) -> Taken:
    """One turn as the activity runs it."""
    said: list[str] = []

    async def report(events: list[FineEvent], offset: int) -> None:
        said.extend(str(event.event.message) for event in events)

    started = time.time()
    await agent.run_turn(bench.request(_PROMPT, turn=turn), Follow(0, report))
    return Taken.of(started, said[1])


async def by_hand(bench: Bench, agent: DockerAgentRuntime, turn: int) -> Taken:
    """`docker run` with the same options, and its output."""
    name = turn_name(bench.worker, _BY_HAND + turn)
    request = bench.request(_PROMPT, turn=_BY_HAND + turn)
    image = await agent._image(request)
    _, spec = await agent._spec(request, name, Told(request.message), image.tag)
    argv = command(spec)
    started = time.time()
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"docker run ended with {process.returncode}: {json.dumps(argv)}")
    lines = [json.loads(line) for line in output.splitlines()]
    taken = Taken.of(started, lines[2]["message"]["content"][0]["text"])
    docker("rm", name)
    return taken


def command(spec: ContainerSpec) -> list[str]:
    """What a person would type."""
    mounts = [f"type=volume,source={one.source},target={one.target}" for one in spec.binds]
    variables = [f"{key}={value}" for key, value in spec.environment.items()]
    return [
        "docker", "run", "--name", spec.name, "--label", f"{MARK}=1", "--network", spec.network,
        "--user", "1000:1000", "--workdir", spec.working_dir, "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--memory", str(spec.limits.memory_bytes),
        "--cpus", str(spec.limits.cpus), "--pids-limit", str(spec.limits.pids), "--read-only",
        "--tmpfs", "/tmp:rw,exec,nosuid,nodev,mode=1777", "--ulimit", "core=0:0",
        "--log-driver", "json-file", "--log-opt", "max-size=64m", "--log-opt", "max-file=2",
        *(word for mount in mounts for word in ("--mount", mount)),
        *(word for variable in variables for word in ("--env", variable)),
        spec.image, "timeout", "60", *spec.argv,
    ]  # fmt: skip


def _findings(pairs: list[tuple[Taken, Taken]], real: list[tuple[float, float, float]]) -> Findings:
    default = [(mine, bridge) for mine, bridge, _ in real]
    of_machine = [(mine, host) for mine, _, host in real]
    start = [(mine.start, theirs.start) for mine, theirs in pairs]
    end = [(mine.end, theirs.end) for mine, theirs in pairs]
    columns = ["Until", "Turn p50", "docker run p50", "Ratio", "Quartiles", "95 % of medians"]
    rows = [
        _row("the first request of Claude Code reaches the model", default),
        _row("the same, by hand in the network of the machine", of_machine),
        _row("a program runs", start),
        _row("its end is known", end),
    ]
    return Findings(
        tables=[Table(columns, rows)],
        figures={
            "first request": asdict(Ratio.of(default)),
            "first request, network of the machine": asdict(Ratio.of(of_machine)),
            "real pairs": real,
            "start": asdict(Ratio.of(start)),
            "end": asdict(Ratio.of(end)),
            "pairs": [[asdict(one) for one in pair] for pair in pairs],
        },
        remarks=[
            f"{len(real)} interleaved rounds of Claude Code, from the scheduled turn; goal at most 1.2 of a "
            "`docker run` in Docker's default network. That of the machine separates nothing and takes no time.",
            f"{len(pairs)} interleaved pairs of a program; goal at most 1.3 for its start.",
        ],
    )


def _row(name: str, pairs: list[tuple[float, float]]) -> list[str]:
    ratio = Ratio.of(pairs)
    ours_ms, theirs_ms = (Spread.of([pair[side] for pair in pairs]).p50 for side in (0, 1))
    return [
        name, f"{ours_ms:.0f} ms", f"{theirs_ms:.0f} ms", f"**{ratio.median:.2f}**",
        f"{ratio.p25:.2f} to {ratio.p75:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}",
    ]  # fmt: skip


BENCHMARK = Benchmark(
    "turn_start", "Start of an agent's turn in a container", {"agent_pairs": 10, "pairs": 30}, measure
)

if __name__ == "__main__":
    main(BENCHMARK)
