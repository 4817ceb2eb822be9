"""How a project changes from one release to the next, whether its services are processes or containers.

A candidate answers on a private address first; then the old services stop, the new ones start at the public address,
and `current` is switched. Importing this module is cheap, because servers do it. Every function may be killed at any
point and called again: names are fixed, so what runs is adopted, and a project never has a service twice at its public
address.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from activities.adapters.release import directory
from activities.adapters.release.addresses import can_listen, foreign_port
from activities.adapters.release.directory import ProjectPlace
from activities.adapters.release.probe import Expectation, look
from activities.adapters.runs.states import RunAs, RunStatus
from activities.adapters.runs.trees import remove_tree
from contracts.errors import ErrorCode, OrchestratorError, bounded, end_of
from contracts.redaction import redacted, redacted_part

Phase = Literal["live", "candidate", "migration"]
"""What a service is started for: a live one is at the public address, a candidate at a private one."""
LOOPBACK = "127.0.0.1"
RAW_TAIL = 20_000
_PREFIXES: dict[Phase, str] = {"live": "", "candidate": "cand-", "migration": "migr-"}
"""Of the release in a name."""
_PASSING = (_PREFIXES["candidate"], _PREFIXES["migration"])
_SETTLE_S = 0.3
"""Between the first good answer and the second look: a service that dies right after starting shows itself."""
_WRONG_ANSWER_S = 2.0
"""How long a service may answer wrongly while it warms up."""
_LOOK_EVERY_S = 0.1
_TAIL = 1_500
_LONGER = "if it needs longer to start, set `start_limit_s` of this module in service.yaml"


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
    migrate: list[str] = field(default_factory=list)
    start_limit_s: int | None = None
    live_contains: str = ""
    alone: bool = False


@dataclass(frozen=True)
class Release:
    """A finished release directory. `host` is the public name of the server, `bind` what services listen on.

    Its code is in the directory with the environment `venv`, or all of it in the container image `image`.
    """

    release_id: str
    commit: str
    host: str
    bind: str
    services: list[ReleasedService]
    venv: str = ""
    image: str = ""

    @property
    def near(self) -> str:
        """Where its own machine reaches it."""
        return LOOPBACK if self.bind == "0.0.0.0" else self.bind


@dataclass(frozen=True)
class Built:
    """What the services of a release run from: an environment on this machine, or an image by its id."""

    python: str
    """What `{python}` is in their commands."""
    venv: str = ""
    image: str = ""


def load_release(place: ProjectPlace, release_id: str) -> Release:
    """Raises OrchestratorError NOT_DEPLOYED when the release is not (completely) on this server."""
    manifest: dict[str, Any] | None = directory.read_manifest(place, release_id)
    if manifest is None:
        raise OrchestratorError(
            ErrorCode.NOT_DEPLOYED, f"Release {release_id} is no longer on this server. Deploy its commit again."
        )
    return Release(**manifest | {"services": [ReleasedService(**service) for service in manifest["services"]]})


@dataclass(frozen=True, kw_only=True)
class ReleaseServices(ABC):
    """The services of one project. `start_timeout_s` is how long one may take, in seconds, until it answers."""

    place: ProjectPlace
    start_timeout_s: float = 30.0
    user: RunAs | None = None
    disk_full: ClassVar[ErrorCode]
    """What is said when there is no room for releases."""
    building: ClassVar[str]
    """The step that builds, in words for people."""
    takes_over: ClassVar[bool]
    """Whether who asks last ends the programs of those before."""

    @property
    def switch_title(self) -> str:
        """The step that switches, in words for people."""
        return "Switch to the new release"

    @abstractmethod
    async def check_out(self, release_id: str, commit: str) -> None:
        """Keep the files that the release is built from."""

    @abstractmethod
    async def is_built(self, recorded: dict[str, Any] | None) -> bool:
        """Whether what a manifest names still exists."""

    @abstractmethod
    async def build(self, release_id: str, commit: str, timeout_s: float, recorded: dict[str, Any] | None) -> Built:
        """Build the release, or adopt what is already built."""

    @abstractmethod
    async def forget(self, release_id: str | None = None) -> None:
        """Remove what was built for one release, or for all, outside of their directories."""

    @abstractmethod
    async def names(self) -> list[str]:
        """Names of everything of this project, running or not, candidates too."""

    @abstractmethod
    async def state(self, name: str) -> RunStatus: ...

    @abstractmethod
    async def ended(self, name: str) -> object:
        """Return when the named process or container no longer runs."""

    @abstractmethod
    async def tail(self, name: str) -> str:
        """The end of the log of the named process or container, at most `RAW_TAIL` characters; it may contain secrets,
        as the service wrote them."""

    @abstractmethod
    async def stop(self, name: str) -> None:
        """Stop and remove the named process or container; its name is free afterwards."""

    @abstractmethod
    async def launch(
        self, name: str, release: Release, service: ReleasedService, phase: Phase, data: Path
    ) -> tuple[str, int]:
        """Start the service, or adopt it; returns its address on this machine. Only a live one is started again."""

    async def migrate(self, release: Release) -> dict[str, str]:
        """Run each service's migration; returns the end of their output, without secrets. Nothing for a release that
        was live before: it has been migrated.

        Raises MIGRATION_FAILED with the end of the output. Every migration may run twice.
        """
        if (self.place.release(release.release_id) / directory.SERVED).exists():
            return {}
        self._give_data()
        wanted = [service for service in release.services if service.migrate]
        return {service.name: await self._migrate(release, service) for service in wanted}

    async def try_candidate(self, release: Release) -> None:
        """Start every service on a private port with scratch data and check it strictly; then remove all of it.

        Raises OrchestratorError PROBE_FAILED with the end of the service's log.
        """
        await self.stop_candidates()
        scratch = self.place.scratch(release.release_id)
        directory.make_data(scratch, self.user)
        try:
            await _all(self._start(release, service, "candidate", scratch) for service in release.services)
        finally:
            await self.stop_candidates()

    async def switch(self, release: Release) -> None:
        """Start `release` and have the public address lead to it, then switch `current` and stop what ran before. What
        cannot run beside it is stopped first.

        If the release does not answer, it is stopped and the one before it serves: PROBE_FAILED. If a program that is
        not part of this project holds a port: PORT_TAKEN, before anything is stopped.
        """
        before = directory.current_release(self.place)
        await self._refuse_foreign_ports(release)
        await self._stop_all(await self._in_the_way(release))
        try:
            await self._refuse_foreign_ports(release)
            await self.start_release(release)
        except OrchestratorError:
            await self._fall_back(before, release)
            raise
        directory.make_current(self.place, release.release_id)
        await self._leave(release)

    async def start_release(self, release: Release) -> None:
        """Start (or adopt) every service, wait until each has passed two strict checks, and lead visitors to it."""
        self._give_data()
        await _all(self._start(release, service, "live", self.place.data) for service in release.services)
        await self._open(release)

    async def return_to(self, failed: str, previous: str | None) -> None:
        """Make `previous` the live release and `current` again, and remove what was built for `failed` if it was never
        live.

        Without a previous release nothing of the project runs.
        """
        await self.stop_candidates()
        if previous is None or self.place.stopped.exists():
            await self._close()
            await self.stop_live(other_than=previous)
        else:
            await self._serve_again(previous)
        if previous is None:
            self.place.current.unlink(missing_ok=True)
        if failed != previous:
            await asyncio.to_thread(directory.clear_unserved, self.place, failed)

    async def stop_project(self) -> None:
        """Stop everything of the project; it stays stopped after a reboot."""
        self.place.stopped.touch()
        await self._close()
        await self.stop_live()
        await self.stop_candidates()

    async def restart(self, release_id: str | None) -> Release:
        """Restart the release (None: the current one). Raises NOT_DEPLOYED."""
        current = release_id or directory.current_release(self.place)
        if current is None:
            raise OrchestratorError(ErrorCode.NOT_DEPLOYED, "This project is not deployed; deploy it first.")
        release = load_release(self.place, current)
        await self.stop_live()
        await self.switch(release)
        return release

    async def restore(self, release: Release) -> list[str]:
        """Start what should run and does not, without waiting for it; returns the names of what was started."""
        names = []
        for service in release.services:
            name = self._name(release, service, "live")
            if (await self.state(name)).state != "running":
                await self.launch(name, release, service, "live", self.place.data)
                names.append(name)
        await self._open(release)
        return names

    async def stop_live(self, *, other_than: str | None = None) -> None:
        """Stop every release's services at the public address except those of `other_than`."""
        await self._stop_all(await self.live(other_than=other_than))

    async def stop_candidates(self) -> None:
        """Remove candidates, their scratch data and migrations, of whatever release."""
        parted = await self._parted_names()
        await self._stop_all([name for name, _, release in parted if release.startswith(_PASSING)])
        remove_tree(self.place.root / "candidates")

    async def live(self, *, service: str | None = None, other_than: str | None = None) -> list[str]:
        """Names of the project's processes or containers at its public address."""
        return [
            name
            for name, of_service, release in await self._parted_names()
            if not release.startswith(_PASSING) and release != other_than and service in {None, of_service}
        ]

    async def live_states(self, release_id: str) -> dict[str, RunStatus]:
        """The state of each service of a release at the public address."""
        parted = await self._parted_names()
        return {service: await self.state(name) for name, service, release in parted if release == release_id}

    async def live_tails(self, release: Release) -> dict[str, str]:
        """The end of the log of each service of a release at the public address, without secrets."""
        names = {service.name: self._name(release, service, "live") for service in release.services}
        return {one.name: await self._readable_tail(names[one.name], release, one) for one in release.services}

    async def _parted_names(self) -> list[tuple[str, str, str]]:
        """Each with its service and release. Neither slug nor service holds a dash, so this is unambiguous."""
        prefix = f"svc-{self.place.slug}-"
        return [(name, *name.removeprefix(prefix).partition("-")[::2]) for name in await self.names()]

    def _give_data(self) -> None:
        directory.make_data(self.place.data, self.user)

    async def _migrate(self, release: Release, service: ReleasedService) -> str:
        name = self._name(release, service, "migration")
        try:
            command = replace(service, argv=service.migrate)
            await self.launch(name, release, command, "migration", self.place.data)
            await self.ended(name)
            status, said = await self.state(name), await self._readable_tail(name, release, service)
        finally:
            await self.stop(name)
        if status.state == "absent":
            reason = f"The migration of {service.name} was removed before its end was seen; trying again."
            raise OrchestratorError.transient(ErrorCode.PLAYBOOK_LOST, reason)
        if status.exit_code != 0:
            ended = f"The migration of {service.name} ended with exit code {status.exit_code}."
            message = f"{ended}\nThe end of its output:\n{said}"
            raise OrchestratorError(ErrorCode.MIGRATION_FAILED, bounded(message, 3_500))
        return said

    async def _start(self, release: Release, service: ReleasedService, phase: Phase, data: Path) -> None:
        name = self._name(release, service, phase)
        address = await self.launch(name, release, service, phase, data)
        await self._answers(name, address, release, service)

    def _name(self, release: Release, service: ReleasedService, phase: Phase) -> str:
        return f"svc-{self.place.slug}-{service.name}-{_PREFIXES[phase]}{release.release_id}"

    async def _answers(self, name: str, address: tuple[str, int], release: Release, service: ReleasedService) -> None:
        """Return when the service has passed two checks without a restart; raise as soon as it cannot any more."""
        expected = Expectation(service.health_path, service.health_contains, release.release_id)
        loop = asyncio.get_running_loop()
        limit = service.start_limit_s or self.start_timeout_s
        give_up = loop.time() + limit
        # One that says how long it starts may say meanwhile that it is not ready yet.
        wrong_until = give_up if service.start_limit_s else None
        restarts = (await self.state(name)).restarts
        ended = asyncio.ensure_future(self.ended(name))
        good = 0
        try:
            while True:
                answer = await look(*address, expected)
                await self._refuse_ended(name, restarts, release, service)
                good = good + 1 if answer.ok else 0
                if good == 2:
                    return
                if answer.answered and not answer.ok:
                    wrong_until = wrong_until or loop.time() + _WRONG_ANSWER_S
                if not answer.ok and loop.time() > min(give_up, wrong_until or give_up):
                    late = f" after {limit:g} s; {_LONGER}" if loop.time() > give_up else ""
                    raise await self._unhealthy(name, release, service, f"{answer.error or 'no valid answer'}{late}")
                await asyncio.wait({ended}, timeout=_SETTLE_S if answer.ok else _LOOK_EVERY_S)
        finally:
            ended.cancel()
            # What waits for the end may be a program of its own: it is gone before we go on.
            with contextlib.suppress(asyncio.CancelledError, OrchestratorError):
                await ended

    async def _refuse_ended(self, name: str, restarts: int, release: Release, service: ReleasedService) -> None:
        status = await self.state(name)
        if status.state != "running":
            raise await self._unhealthy(name, release, service, f"it ended with exit code {status.exit_code}")
        if status.restarts != restarts or status.pid is None:
            raise await self._unhealthy(name, release, service, "it crashed after starting")

    async def _unhealthy(self, name: str, release: Release, service: ReleasedService, why: str) -> OrchestratorError:
        secrets = self._secrets(release, service)
        message = redacted(f"Service {service.name} of release {release.release_id} is not healthy: {why}.", secrets)
        if tail := await self._readable_tail(name, release, service):
            message += f"\nThe end of its log:\n{tail}"
        return OrchestratorError(ErrorCode.PROBE_FAILED, bounded(message, 3_500))

    async def _readable_tail(self, name: str, release: Release, service: ReleasedService) -> str:
        # Redacted before it is cut: half of a secret would not be recognised.
        return end_of(redacted_part(await self.tail(name), self._secrets(release, service)).strip(), _TAIL)

    def _secrets(self, release: Release, service: ReleasedService) -> list[str]:
        values = directory.read_environment(self.place, release.release_id, service.name)
        return secret_values(values, service.sensitive)

    # How a public address leads to a release. Without a front door a service listens there itself.

    async def _in_the_way(self, release: Release) -> list[str]:
        """What has to be stopped before the release can start at the public address."""
        return await self.live(other_than=release.release_id)

    @abstractmethod
    async def _open(self, release: Release) -> None:
        """Have the public address lead to the release, which runs."""

    @abstractmethod
    async def _close(self) -> None:
        """Have the public address lead nowhere."""

    async def _leave(self, release: Release) -> None:
        """Stop everything but the release, to which the public address leads now."""
        await self.stop_live(other_than=release.release_id)

    async def _serve_again(self, previous: str) -> None:
        try:
            release = load_release(self.place, previous)
        except OrchestratorError:
            await self.stop_live(other_than=previous)
            raise
        await self._stop_all(await self._in_the_way(release))
        await self.start_release(release)
        directory.make_current(self.place, previous)
        await self._leave(release)

    async def _fall_back(self, before: str | None, failed: Release) -> None:
        if before == failed.release_id:
            return
        await self._stop_all(await self.live(other_than=before))
        if before is not None and not self.place.stopped.exists():
            await self.start_release(load_release(self.place, before))

    async def _refuse_foreign_ports(self, release: Release) -> None:
        for service in release.services:
            ours = [await self.state(name) for name in await self.live(service=service.name)]
            if any(status.state == "running" for status in ours) or await self._holds(service.port):
                continue
            if not can_listen(release.bind, service.port):
                raise OrchestratorError(
                    ErrorCode.PORT_TAKEN,
                    foreign_port(service.port, service.name),
                    details={"port": service.port},
                )

    async def _holds(self, port: int) -> bool:
        """Whether a part of the platform listens there for this project."""
        return False

    async def _stop_all(self, names: list[str]) -> None:
        await _all(self.stop(name) for name in names)


def secret_values(values: dict[str, str], sensitive: list[str]) -> list[str]:
    """The values of a service's environment that must not be shown."""
    return [values[name] for name in sensitive if values.get(name)]


async def _all(work: Iterable[Awaitable[object]]) -> None:
    """Wait for all, then raise the first error: nothing keeps running unseen."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
