"""Traces of a delivery in containers: what the engines of this machine and of the server say, and what was seen."""

import json
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import docker
import requests
from docker import errors

from activities.adapters.containers.engine import MARK
from tests.support.kills.judging import Delivery
from tests.support.kills.traces import Deployed, Run, RunRecords, left_running, left_secrets, paths
from tests.support.stack import Stack

_TASK = "codegen-orchestrator.task"
_KIND = "codegen-orchestrator.kind"
_AGENT_HOME = "/home/worker"
_RUN_LOG = "scripted-agent.jsonl"
_CANDIDATE = "-cand-"
_ON_SERVER = """
docker ps --all --filter label=orchestrator.project={slug} --format '{{{{.Names}}}} {{{{.State}}}}'
echo --
docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' svc-{slug}
echo --
ls -A /srv/{slug}/releases 2>/dev/null
echo --
if [ -d /srv/{slug}/releases ]; then find /srv/{slug}/releases -name 'context.*'; fi
"""
_STRAYS_ON_SERVER = """
all=$(docker ps --all --format '{{.Names}}' | sort)
ours=$(docker ps --all --filter label=orchestrator.project --format '{{.Names}}' | sort)
for name in $all; do case " $(echo $ours) " in *" $name "*) ;; *) echo "container $name";; esac; done
"""


@dataclass(frozen=True)
class Container:
    """What an engine says about one of its containers."""

    name: str
    number: str
    state: str
    labels: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)
    """Directory of this machine by directory in the container."""

    @classmethod
    def of(cls, found: dict[str, Any]) -> "Container":
        return cls(
            found["Names"][0].lstrip("/") if found["Names"] else "",
            found["Id"],
            found["State"],
            dict(found["Labels"] or {}),
            {mount["Destination"]: mount.get("Source") or "" for mount in found["Mounts"]},
        )


class Sightings:
    """Every container that was seen, also after it has gone."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, Run]] = defaultdict(dict)
        self._changing = threading.Lock()

    def take(self, there: Iterable[Container]) -> None:
        now = {one.number: one for one in there}
        with self._changing:
            for runs in self._seen.values():
                for number in runs.keys() - now.keys():
                    runs[number] = Run(runs[number].name, runs[number].identity, running=False)
            for number, one in now.items():
                if one.state == "created":
                    continue  # nothing of it has begun
                self._seen[one.name][number] = Run(one.name, f"{one.name}:{number[:12]}", one.state == "running")

    def runs(self, prefix: str) -> list[Run]:
        with self._changing:
            return [run for name in sorted(self._seen) if name.startswith(prefix) for run in self._seen[name].values()]


class ContainerTraces:
    """Implements `Traces` for containers. `look` must be called often: what comes and goes is seen by looking."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._api = docker.DockerClient.from_env(version="auto").api
        self._sightings = Sightings()
        self._records = RunRecords(stack.home)
        self._logs: dict[str, IO[bytes]] = {}
        """The agents' own logs, opened while they are there: they can be read when their volume has gone."""

    def look(self) -> None:
        self._records.look()
        try:
            there = self._there()
        except (requests.RequestException, errors.DockerException):
            # The engine was killed: nothing comes or goes meanwhile.
            return
        self._sightings.take(there)
        for one in there:
            if one.name.startswith("turn-") and (home := one.mounts.get(_AGENT_HOME)) not in self._logs:
                self._open(str(home))

    def runs(self, prefix: str) -> list[Run]:
        """Deploys are processes of this machine in either runtime."""
        return self._sightings.runs(prefix) + self._records.runs(prefix)

    def agent_starts(self, delivery: Delivery) -> int:
        logs = [log for home, log in self._logs.items() if f"/home-{delivery.engineering}" in home]
        lines = [line for log in logs for line in _whole(log).splitlines()]
        return sum(json.loads(line)["event"] == "start" for line in lines)

    def deployed(self, delivery: Delivery) -> Deployed:
        return deployed_of(self._on_server(_ON_SERVER.format(slug=delivery.slug)))

    def leftovers(self, delivery: Delivery) -> tuple[str, ...]:
        volumes = [one["Name"] for one in self._api.volumes()["Volumes"] or []]
        found = containers_left(self._there(), delivery)
        found += [f"volume {name}" for name in volumes if name.endswith(delivery.engineering)]
        found += left_running(self.stack, delivery) + left_secrets(self.stack, delivery)
        for pattern in ("runs/*{0}*.json", "runs/.output/*{0}*", "workspaces/.prepared/{0}*.json"):
            found += paths(self.stack.home, f"containers/{pattern.format(delivery.engineering)}")
        return tuple(sorted(one for one in found if not self._marks_a_stop(one)))

    def _marks_a_stop(self, path: str) -> bool:
        """A stopped run keeps its record for some days, so that an attempt that comes late does not begin it again."""
        file = self.stack.home / path
        return file.suffix == ".json" and file.is_file() and bool(json.loads(file.read_text()).get("stopped"))

    def strays(self) -> tuple[str, ...]:
        """Drafts of killed steps, agents and tests that ran as processes, and builds that were left on the server."""
        home = self.stack.home
        drafts = [*paths(home, "containers/*/.drafts/*/"), *paths(home, "forge/.drafts/*/")]
        astray = [run.name for prefix in ("turn-", "test-") for run in self._records.runs(prefix)]
        return tuple(sorted([*drafts, *astray, *self._on_server(_STRAYS_ON_SERVER).splitlines()]))

    def _there(self) -> list[Container]:
        return [Container.of(found) for found in self._api.containers(all=True, filters={"label": [MARK]})]

    def _open(self, home: str) -> None:
        try:
            self._logs[home] = (Path(home) / _RUN_LOG).open("rb")
        except FileNotFoundError:
            # The agent has not begun yet.
            return

    def _on_server(self, script: str) -> str:
        command = ["docker", "exec", self.stack.server, "sh", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def containers_left(there: Iterable[Container], delivery: Delivery) -> list[str]:
    """Those of a delivery that has ended. A finished installation of packages is kept for others."""
    found = []
    for one in there:
        mine = delivery.engineering in one.name or one.labels.get(_TASK) == delivery.engineering
        kept = one.labels.get(_KIND) == "setup" and one.state == "exited"
        if mine and not kept:
            found.append(f"container {one.name} ({one.state})")
    return found


def deployed_of(said: str) -> Deployed:
    """From what the server says: containers, images, release directories, archives that were to be built from."""
    containers, images, releases, archives = _parts(said)
    rows = [row.split() for row in containers]
    live = [name for name, state in rows if state == "running" and _CANDIDATE not in name]
    orphans = [f"{name} ({state}) on the server" for name, state in rows if name not in live]
    return Deployed(
        tuple(sorted(releases)),
        len(images),
        len(live),
        tuple(orphans + archives),
    )


def _parts(said: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for line in said.splitlines():
        if line == "--":
            parts.append([])
        else:
            parts[-1].append(line)
    return parts


def _whole(log: IO[bytes]) -> bytes:
    log.seek(0)
    return log.read()
