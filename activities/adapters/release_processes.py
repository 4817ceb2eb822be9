"""The supervised processes of one project: a candidate on a private port, then the switch to the public one.

Light to import: playbook actions use it. Every function may be killed anywhere and called again: names are fixed,
so what runs is adopted, and a project never has two processes of one service at its public address.
"""

import asyncio
import os
import shutil
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from activities.adapters import release_directory as directory
from activities.adapters.probe import Expectation, look
from activities.adapters.release_directory import ProjectPlace
from activities.adapters.supervision import RunAs, RunStatus, SupervisedCommand, Supervisor
from activities.adapters.unprivileged import give
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded

LOOPBACK = "127.0.0.1"
_CANDIDATE = "cand-"
_SETTLE_S = 0.3
"""Between the first good answer and the second look: a service that dies right after starting shows itself."""
_WRONG_ANSWER_S = 2.0
"""How long a service may answer wrongly while it warms up."""
_LOOK_EVERY_S = 0.1
_STOP_GRACE_S = 3.0
_TAIL_BYTES = 3_000
_SHORTEST_SECRET = 4


@dataclass(frozen=True)
class ReleasedService:
    """One service of a release, as its manifest has it. `port_names` are the variables that carry its own port."""

    name: str
    argv: list[str]
    port: int
    health_path: str
    health_contains: str
    port_names: list[str] = field(default_factory=list)
    sensitive: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Release:
    """A finished release directory. `host` is the public name of the server, `bind` what services listen on."""

    release_id: str
    commit: str
    host: str
    bind: str
    venv: str
    services: list[ReleasedService]


def load_release(place: ProjectPlace, release_id: str) -> Release:
    """Raises OrchestratorError NOT_DEPLOYED when the release is not (completely) on this server."""
    manifest: dict[str, Any] | None = directory.read_manifest(place, release_id)
    if manifest is None:
        raise OrchestratorError(ErrorCode.NOT_DEPLOYED, f"Release {release_id} is not on this server any more.")
    return Release(**manifest | {"services": [ReleasedService(**service) for service in manifest["services"]]})


def live_name(place: ProjectPlace, service: str, release_id: str) -> str:
    return f"svc-{place.slug}-{service}-{release_id}"


def candidate_name(place: ProjectPlace, service: str, release_id: str) -> str:
    return f"svc-{place.slug}-{service}-{_CANDIDATE}{release_id}"


@dataclass(frozen=True)
class ReleaseProcesses:
    """`start_timeout_s` is how long a service may take, in seconds, until it answers for the first time."""

    runs_dir: Path
    place: ProjectPlace
    start_timeout_s: float = 30.0
    user: RunAs | None = None

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.runs_dir)

    async def try_candidate(self, release: Release) -> None:
        """Every service answers strictly on a private port with scratch data; nothing of it is left afterwards.

        Raises OrchestratorError PROBE_FAILED with the end of the service's log.
        """
        await self.stop_candidates()
        scratch = self.place.scratch(release.release_id)
        scratch.mkdir(parents=True)
        give(scratch, self.user)
        try:
            await _all(self._try_service(release, service, scratch) for service in release.services)
        finally:
            await self.stop_candidates()

    async def switch(self, release: Release) -> None:
        """Stop what runs, start `release` at the public address, then flip `current`.

        A release that does not answer there is stopped and the one before it started again: PROBE_FAILED. A port
        that a foreign program holds: PLAYBOOK_FAILED, before anything is stopped.
        """
        before = directory.current_release(self.place)
        self._refuse_foreign_ports(release)
        await self._stop_all(self.live(other_than=release.release_id))
        try:
            self._refuse_foreign_ports(release)
            await self.start_release(release)
        except OrchestratorError:
            await self._return_to(before, release)
            raise
        directory.make_current(self.place, release.release_id)

    async def start_release(self, release: Release) -> None:
        """Start (or adopt) every service at the public address, and look at it strictly, twice."""
        self.place.data.mkdir(parents=True, exist_ok=True)
        give(self.place.data, self.user)
        await _all(self._start_live(release, service) for service in release.services)

    async def restore(self, release: Release) -> list[str]:
        """Start what should run and does not, without waiting for it; the names of what was started."""
        names = []
        for service in release.services:
            name = live_name(self.place, service.name, release.release_id)
            if self.supervisor.status(name).state != "running":
                await self._launch(name, release, service, self._live_values(release, service), restart=True)
                names.append(name)
        return names

    async def stop_live(self, *, other_than: str | None = None) -> None:
        """Stop every release's processes at the public address except those of `other_than`."""
        await self._stop_all(self.live(other_than=other_than))

    async def stop_candidates(self) -> None:
        """Candidates and their scratch data go, whichever release they belong to."""
        await self._stop_all([name for name, _, release in self._runs() if release.startswith(_CANDIDATE)])
        shutil.rmtree(self.place.root / "candidates", ignore_errors=True)

    def live(self, *, service: str | None = None, other_than: str | None = None) -> list[str]:
        """Names of the project's runs at its public address."""
        return [
            name
            for name, of_service, release in self._runs()
            if not release.startswith(_CANDIDATE) and release != other_than and service in {None, of_service}
        ]

    def status(self, service: str, release_id: str) -> RunStatus:
        return self.supervisor.status(live_name(self.place, service, release_id))

    def _runs(self) -> list[tuple[str, str, str]]:
        """Name, service and release of each run. Neither slug nor service holds a dash, so this is unambiguous."""
        prefix = f"svc-{self.place.slug}-"
        names = sorted(path.name for path in self.runs_dir.glob(f"{prefix}*-*"))
        return [(name, *_parted(name.removeprefix(prefix))) for name in names]

    async def _try_service(self, release: Release, service: ReleasedService, scratch: Path) -> None:
        port = _free_port()
        name = candidate_name(self.place, service.name, release.release_id)
        own_port = dict.fromkeys([*service.port_names, "PORT"], str(port))
        values = directory.read_environment(self.place, release.release_id, service.name)
        values |= own_port | {"HOST": LOOPBACK, "DATA_DIR": str(scratch), "RELEASE_PHASE": "candidate"}
        await self._launch(name, release, service, values, restart=False)
        await self._answers(name, LOOPBACK, port, release, service)

    async def _start_live(self, release: Release, service: ReleasedService) -> None:
        name = live_name(self.place, service.name, release.release_id)
        await self._launch(name, release, service, self._live_values(release, service), restart=True)
        host = LOOPBACK if release.bind == "0.0.0.0" else release.bind
        await self._answers(name, host, service.port, release, service)

    def _live_values(self, release: Release, service: ReleasedService) -> dict[str, str]:
        values = directory.read_environment(self.place, release.release_id, service.name)
        return values | {"DATA_DIR": str(self.place.data), "RELEASE_PHASE": "live"}

    async def _launch(
        self, name: str, release: Release, service: ReleasedService, values: dict[str, str], *, restart: bool
    ) -> None:
        if self.supervisor.status(name).state in {"exited", "lost"}:
            await self._stop_all([name])
        base = {
            "PATH": f"{release.venv}/bin:{os.defpath}",
            "VIRTUAL_ENV": release.venv,
            "HOME": values["DATA_DIR"],
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }
        app = self.place.release(release.release_id) / "app"
        await self.supervisor.start(
            SupervisedCommand(name, service.argv, app, base | values, restart=restart, user=self.user)
        )

    async def _answers(self, name: str, host: str, port: int, release: Release, service: ReleasedService) -> None:
        """Return when the service has answered well twice without a restart, raise as soon as it cannot any more."""
        expected = Expectation(service.health_path, service.health_contains, release.release_id)
        loop = asyncio.get_running_loop()
        give_up, wrong_until = loop.time() + self.start_timeout_s, None
        restarts = self.supervisor.status(name).restarts
        ended = asyncio.ensure_future(self.supervisor.wait(name))
        good = 0
        try:
            while good < 2:
                answer = await look(host, port, expected)
                self._refuse_ended(name, restarts, release, service)
                good = good + 1 if answer.ok else 0
                if answer.answered and not answer.ok:
                    wrong_until = wrong_until or loop.time() + _WRONG_ANSWER_S
                if not answer.ok and loop.time() > min(give_up, wrong_until or give_up):
                    raise self._unhealthy(name, release, service, answer.error or "no good answer")
                await asyncio.wait({ended}, timeout=_SETTLE_S if answer.ok else _LOOK_EVERY_S)
            self._refuse_ended(name, restarts, release, service)
        finally:
            ended.cancel()

    def _refuse_ended(self, name: str, restarts: int, release: Release, service: ReleasedService) -> None:
        status = self.supervisor.status(name)
        if status.state != "running":
            raise self._unhealthy(name, release, service, f"it ended with exit code {status.exit_code}")
        if status.restarts != restarts or status.pid is None:
            raise self._unhealthy(name, release, service, "it crashed after its start")

    def _unhealthy(self, name: str, release: Release, service: ReleasedService, why: str) -> OrchestratorError:
        tail = self._tail(name)
        values = directory.read_environment(self.place, release.release_id, service.name)
        message = redact(
            f"Service {service.name} of release {release.release_id} is not healthy: {why}.",
            secret_values(values, service.sensitive),
        )
        if tail:
            message += f"\nThe end of its log:\n{redact(tail, secret_values(values, service.sensitive))}"
        return OrchestratorError(ErrorCode.PROBE_FAILED, bounded(message, 3_500))

    def _tail(self, name: str) -> str:
        try:
            size = (self.runs_dir / name / "output.log").stat().st_size
        except FileNotFoundError:
            return ""
        content, _ = self.supervisor.read_output(name, max(0, size - _TAIL_BYTES), _TAIL_BYTES)
        return content.decode(errors="replace").strip()[-1_500:]

    async def _return_to(self, before: str | None, failed: Release) -> None:
        if before == failed.release_id:
            return
        await self._stop_all(self.live(other_than=before))
        if before is not None and not self.place.stopped.exists():
            await self.start_release(load_release(self.place, before))

    def _refuse_foreign_ports(self, release: Release) -> None:
        for service in release.services:
            ours = self.live(service=service.name)
            if any(self.supervisor.status(name).state == "running" for name in ours):
                continue
            if not _can_bind(release.bind, service.port):
                raise OrchestratorError(
                    ErrorCode.PLAYBOOK_FAILED,
                    f"Port {service.port} of {service.name} is taken by a program that is not part of this project; "
                    "stop that program and deploy again.",
                    error_class=ErrorClass.PERMANENT,
                )

    async def _stop_all(self, names: list[str]) -> None:
        await _all(self._stop(name) for name in names)

    async def _stop(self, name: str) -> None:
        await self.supervisor.stop(name, grace_s=_STOP_GRACE_S)
        await asyncio.to_thread(self.supervisor.remove, name)


def secret_values(values: dict[str, str], sensitive: list[str]) -> list[str]:
    """The longest first, so that one inside another does not leave half of it."""
    found = {values[name] for name in sensitive if len(values.get(name, "")) >= _SHORTEST_SECRET}
    return sorted(found, key=len, reverse=True)


def redact(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    return text


async def _all(work: Any) -> None:  # noqa: ANN401 - any iterable of awaitables of any result
    """All to their end, then the first error: nothing goes on behind the caller's back."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _parted(name: str) -> tuple[str, str]:
    service, _, release = name.partition("-")
    return service, release


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _can_bind(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True
