"""Where a delivery leaves traces outside of the platform, for either runtime; processes, and what both share."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from tests.support.kills.judging import Delivery
from tests.support.stack import Stack

_MARKER = "ORCHESTRATOR_RUN"
_SUPERVISOR = "activities.adapters.runs.supervise_main"
_SETUP = "-setup"
"""Installing packages is a run of its own, which is forgotten when it has ended."""
_LOOK_S = 0.2


@dataclass(frozen=True)
class Run:
    """One turn, test run or deploy: a second one of the same name has another identity."""

    name: str
    identity: str
    running: bool


@dataclass(frozen=True)
class Deployed:
    """What is on the server of a delivery. `orphans` are candidates and whatever else should have gone."""

    release_dirs: tuple[str, ...]
    release_images: int
    services: int
    orphans: tuple[str, ...]


class SeenRuns(Protocol):
    """What runs were seen."""

    def runs(self, prefix: str) -> list[Run]:
        """Every run that was ever seen whose name begins so, in the order of the names."""


class Traces(SeenRuns, Protocol):
    """What can be counted from outside. Blocking: call it in a thread."""

    stack: Stack

    def agent_starts(self, delivery: Delivery) -> int:
        """Starts in the scripted agent's own log."""

    def deployed(self, delivery: Delivery) -> Deployed: ...

    def leftovers(self, delivery: Delivery) -> tuple[str, ...]:
        """What work that has ended must not leave on this machine."""

    def strays(self) -> tuple[str, ...]:
        """What belongs to no delivery and should not be there when nothing is under way."""


def begun_again(traces: SeenRuns, delivery: Delivery) -> tuple[str, ...]:
    names = [run.name for prefix in delivery.work for run in traces.runs(prefix)]
    return tuple(sorted({name for name in names if names.count(name) > 1}))


@contextmanager
def looking(look: Callable[[], None]) -> Iterator[None]:
    """Call `look` several times a second, so that short-lived things are seen. It must tolerate parts that are down."""
    enough = threading.Event()

    def keep_looking() -> None:
        while not enough.wait(_LOOK_S):
            look()

    with ThreadPoolExecutor(1, "looking") as pool:
        looks = pool.submit(keep_looking)
        try:
            yield
        finally:
            enough.set()
        looks.result()


class RunRecords:
    """The records of supervised runs below a home, remembered beyond their end."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._read: dict[Path, int] = {}
        self._known: dict[str, dict[str, Run]] = defaultdict(dict)

    def look(self) -> None:
        for file in (self._home / "runs").glob("*/status.json"):
            try:
                changed = file.stat().st_mtime_ns
                if self._read.get(file) == changed:
                    continue
                record = json.loads(file.read_text())
            except FileNotFoundError:
                continue
            self._read[file] = changed
            run = Run(record["name"], f"{record['name']}:{record['instance']}", record["state"] == "running")
            self._known[run.name][run.identity] = run

    def runs(self, prefix: str) -> list[Run]:
        known = list(self._known.items())
        return [
            run
            for name, instances in sorted(known)
            if name.startswith(prefix) and not name.endswith(_SETUP)
            for run in list(instances.values())
        ]


class ProcessTraces:
    """Implements `Traces` for processes of this machine."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._records = RunRecords(stack.home)

    def look(self) -> None:
        self._records.look()

    def runs(self, prefix: str) -> list[Run]:
        return self._records.runs(prefix)

    def agent_starts(self, delivery: Delivery) -> int:
        pids = {pid for file in self._turns(delivery.work[0]) if (pid := _pid(file))}
        return sum(1 for run in self.stack.agent_runs() if run["event"] == "start" and run["pid"] in pids)

    def deployed(self, delivery: Delivery) -> Deployed:
        directory = self.stack.home / "services" / delivery.slug / "releases"
        releases = tuple(sorted(one.name for one in directory.iterdir())) if directory.is_dir() else ()
        services = processes_of(self.stack, f"svc-{delivery.slug}-")
        candidates = processes_of(self.stack, f"svc-{delivery.slug}-backend-cand-", supervisors=True)
        return Deployed(releases, 0, len(services.keys() - candidates.keys()), tuple(sorted(candidates.values())))

    def leftovers(self, delivery: Delivery) -> tuple[str, ...]:
        home = self.stack.home
        found = set(left_running(self.stack, delivery))
        found |= set(paths(home, f"verifications/test-{delivery.engineering}-*"))
        found |= set(paths(home, f"agents/workspaces/{delivery.engineering}*"))
        return tuple(sorted(found | set(left_secrets(self.stack, delivery))))

    def strays(self) -> tuple[str, ...]:
        """Agents that the agent's own log knows and no turn does: they were started a second time."""
        known = {_pid(file) for file in self._turns("turn-")}
        starts = [run for run in self.stack.agent_runs() if run["event"] == "start"]
        return tuple(f"agent {run['pid']}" for run in starts if run["pid"] not in known)

    def _turns(self, prefix: str) -> list[Path]:
        return list((self.stack.home / "runs").glob(f"{prefix}*/status.json"))


def _pid(record: Path) -> int | None:
    return json.loads(record.read_text())["pid"] or None


def left_running(stack: Stack, delivery: Delivery) -> list[str]:
    """Processes and supervisors of turns, test runs and deploys."""
    return [name for prefix in delivery.work for name in processes_of(stack, prefix, supervisors=True).values()]


def left_secrets(stack: Stack, delivery: Delivery) -> list[str]:
    """What a deploy was told and must not be kept."""
    return paths(stack.home, f"orders/{delivery.work[2]}*/*")


def paths(home: Path, pattern: str) -> list[str]:
    return [str(one.relative_to(home)) for one in home.glob(pattern)]


def processes_of(stack: Stack, prefix: str, *, supervisors: bool = False) -> dict[int, str]:
    """Living processes of the runs whose name begins so, by pid: by their mark, supervisors by their arguments."""
    found = {}
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        if process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        run = (process.info["environ"] or {}).get(_MARKER, "").rpartition(":")[0]
        arguments = process.info["cmdline"] or []
        if supervisors and not run and _SUPERVISOR in arguments:
            directory = Path(arguments[arguments.index(_SUPERVISOR) + 1])
            run = directory.name if directory.parent == stack.home / "runs" else ""
        if run.startswith(prefix):
            found[process.pid] = run
    return found
