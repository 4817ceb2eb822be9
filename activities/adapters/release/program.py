"""The release program: carries out one order, read from its standard input, for a project on this machine.

The first line is an `Order` in JSON; the archive that an image is built from follows it. The program reports each step
as a line of JSON when it begins; the last line is the answer. A caller that only asks for the state may ask again on
the next line. Standard library only (see `release_kit`).
"""

import asyncio
import errno
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

from activities.adapters.release import directory, retention
from activities.adapters.release.directory import ProjectPlace
from activities.adapters.release.order import Order
from activities.adapters.release.services import Release, ReleasedService, ReleaseServices, load_release
from activities.adapters.runs import process_table
from contracts.errors import ErrorCode, OrchestratorError

DEPLOY = ["checkout", "build", "environment", "migrate", "candidate", "switch"]
_TITLES = {
    "checkout": "Check out the commit",
    "environment": "Write the environment",
    "migrate": "Migrate the data",
    "candidate": "Start a candidate and check its health",
}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_LOOKS = (["status"], ["tails"])
"""These change nothing, wait for nobody and end nobody."""

Answer = dict[str, Any]
ServicesOf = Callable[[Order, ProjectPlace], ReleaseServices]


@dataclass(frozen=True)
class _Work:
    order: Order
    place: ProjectPlace
    services: ReleaseServices

    async def checkout(self) -> None:
        """Get the files of the commit; nothing for a release that is already built."""
        if not await self.services.is_built(self._recorded()):
            await self.services.check_out(self.order.release_id, self.order.commit)

    async def build(self) -> Answer:
        """Build exactly this commit, once; after that the release is complete."""
        order, recorded = self.order, self._recorded()
        await self._refuse_another_image(order.release_id)
        built = await self.services.build(order.release_id, order.commit, order.build_timeout_s, recorded)

        def filled(command: list[str]) -> list[str]:
            return [part.replace("{python}", built.python) for part in command]

        services = [ReleasedService(**service) for service in order.services]
        services = [replace(one, argv=filled(one.argv), migrate=filled(one.migrate)) for one in services]
        known = (order.release_id, order.commit, order.host, order.bind)
        manifest = asdict(Release(*known, services, venv=built.venv, image=built.image))
        if manifest != recorded:
            directory.finish_release(self.place, order.release_id, manifest)
        return {"image": built.image}

    async def environment(self) -> None:
        for service, values in self.order.environment.items():
            directory.write_environment(self.place, self.order.release_id, service, values)

    async def migrate(self) -> Answer:
        """Migrate the project's data before the release starts, while the previous one is still live."""
        return {"migrated": await self.services.migrate(load_release(self.place, self.order.release_id))}

    async def candidate(self) -> None:
        await self.services.try_candidate(load_release(self.place, self.order.release_id))

    async def switch(self) -> Answer:
        await self.services.switch(load_release(self.place, self.order.release_id))
        if not self.order.keep_releases:
            return {}
        await self._retire()
        return await self._still_built()

    async def revert(self) -> None:
        if self.order.previous:
            await self._refuse_another_image(self.order.previous)
        await self._return_to(self.order.previous)

    async def abandon(self) -> None:
        """After a cancel: make the previous release live again."""
        before = directory.current_release(self.place)
        await self._return_to(self.order.previous if before == self.order.release_id else before)

    async def stop(self) -> None:
        await self.services.stop_project()

    async def restart(self) -> Answer:
        await self._refuse_another_image(self.order.release_id)
        release = await self.services.restart(self.order.release_id or None)
        return {"host": release.host, "ports": {service.name: service.port for service in release.services}}

    async def remove(self) -> None:
        """Remove what runs, what was built, releases and their secrets; data is moved to `.removed`."""
        await self.services.stop_project()
        await self.services.forget()
        directory.remove_place(self.place, Path(self.order.services_dir))

    async def status(self) -> Answer:
        """The state of each service of the release at the public address; `stopped` while a person wants that."""
        if self.place.stopped.exists():
            names = [service.name for service in load_release(self.place, self.order.release_id).services]
            return {"services": {name: ["stopped", None, 0] for name in names}}
        found = await self.services.live_states(self.order.release_id)
        return {"services": {name: [status.state, status.pid, status.restarts] for name, status in found.items()}}

    async def tails(self) -> Answer:
        """The end of each live service's log, without secrets."""
        return {"tails": await self.services.live_tails(load_release(self.place, self.order.release_id))}

    def title(self, step: str) -> str:
        """A step in words for people; empty for what they need not see."""
        if step == "migrate" and not any(service.get("migrate") for service in self.order.services):
            return ""
        if step == "switch":
            return self.services.switch_title
        return self.services.building if step == "build" else _TITLES.get(step, "")

    def _recorded(self) -> Answer | None:
        return directory.recorded_release(self.place, self.order.release_id, self.order.commit)

    async def _refuse_another_image(self, release_id: str) -> None:
        """Raises IMAGE_MISMATCH or RELEASE_NOT_KEPT: a release runs exactly what was recorded when it was built, or not
        at all."""
        manifest = directory.read_manifest(self.place, release_id)
        if self.order.image is None:
            return
        if manifest is None or not await self.services.is_built(manifest):
            raise OrchestratorError(ErrorCode.RELEASE_NOT_KEPT, self._not_kept(release_id))
        if manifest["image"] != self.order.image:
            raise OrchestratorError(
                ErrorCode.IMAGE_MISMATCH,
                f"Release {release_id} was recorded with the image {self.order.image}, but the server has "
                f"{manifest['image']}; deploy the commit as a new release.",
            )

    def _not_kept(self, release_id: str) -> str:
        """What to do instead, with the release's own commit if that is what the order is about."""
        commit = self.order.commit if release_id == self.order.release_id and self.order.commit else "COMMIT"
        command = f"orchestrator deploy start {self.order.project_id} --commit {commit}"
        return (
            f"The server does not keep the image of release {release_id} any more, so it cannot be started again. "
            f"Put its commit online as a new release: `{command}`."
        )

    async def _retire(self) -> None:
        """Let go of what is too old to return to: its image, and its values of secrets. What fails is tried again with
        the next release, and is no fault of this one."""
        for release_id in retention.old(self.place, self.order.keep_releases):
            if release_id == self.order.previous or directory.read_manifest(self.place, release_id) is None:
                continue
            with suppress(OrchestratorError, OSError):
                await self.services.forget(release_id)
                await asyncio.to_thread(retention.forget, self.place.release(release_id))

    async def _still_built(self) -> Answer:
        """The releases that can be returned to; nothing if the engine does not say."""
        found = []
        with suppress(OrchestratorError):
            for mark in sorted((self.place.root / "releases").glob(f"*/{directory.SERVED}")):
                if await self.services.is_built(directory.read_manifest(self.place, mark.parent.name)):
                    found.append(mark.parent.name)
            return {"still_built": found}
        return {}

    async def _return_to(self, previous: str | None) -> None:
        await self.services.return_to(self.order.release_id, previous)
        if not self.place.release(self.order.release_id).exists():
            await self.services.forget(self.order.release_id)


STEPS: dict[str, Callable[[_Work], Awaitable[Answer | None]]] = {
    name: step for name, step in vars(_Work).items() if iscoroutinefunction(step) and not name.startswith("_")
}


def main(services_of: ServicesOf) -> int:
    """Answers on standard output; the exit code is 0 also for a step that failed and says why."""
    while line := sys.stdin.buffer.readline():
        order = Order(**json.loads(line))
        _say({"answer": asyncio.run(_answer(order, services_of))})
        if order.steps not in _LOOKS:
            break
    return 0


async def _answer(order: Order, services_of: ServicesOf) -> Answer:
    answer: Answer = {}
    told = ""
    full = ErrorCode.DOCKER_DISK_FULL
    try:
        place = order.place()
        work = _Work(order, place, services_of(order, place))
        full = work.services.disk_full
        for step in order.steps:
            told = work.title(step)
            answer |= await _done(work, step, told) or {}
    except OrchestratorError as error:
        return _failed(told, error)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        return _failed(told, _no_room(full, error))
    return answer


def _failed(told: str, error: OrchestratorError) -> Answer:
    failure = {"msg": error.message, "code": error.code.value, "retryable": error.retryable, "details": error.details}
    return {"failed": True, "step": told, **failure}


def _no_room(code: ErrorCode, error: OSError) -> OrchestratorError:
    where = f" ({error.filename})" if error.filename else ""
    reason = f"The disk of the server{where} is full. Free some space; the deploy then continues by itself."
    return OrchestratorError.transient(code, reason)


async def _done(work: _Work, step: str, told: str) -> Answer | None:
    if [step] in _LOOKS:
        return await STEPS[step](work)
    if told:
        _say({"step": told})
    with _alone(work.place, takes_over=work.services.takes_over):
        directory.keep_private(work.place, work.services.user)
        return await STEPS[step](work)


def _say(told: Answer) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


@contextmanager
def _alone(place: ProjectPlace, *, takes_over: bool) -> Iterator[None]:
    """One program at a time for a project.

    On a server the newest one wins: a project has one deployment at a time, so an older program is the orphan of a
    caller that was killed or cancelled, and would go on building or waiting for minutes. On the platform's own machine
    the caller has ended it.
    """
    holder = place.root / ".holder"
    if takes_over:
        _end(holder)
    with directory.locked(place.lock):
        mine = process_table.entry(os.getpid())
        directory.write_private(holder, json.dumps([os.getpid(), mine.start_ticks if mine else 0]))
        yield


def _end(holder: Path) -> None:
    try:
        pid, ticks = json.loads(holder.read_text())
    except FileNotFoundError:
        return
    if pid != os.getpid() and process_table.same_process(pid, ticks):
        below = process_table.descendants([pid], process_table.entries())
        process_table.signal_all([pid, *below], signal.SIGKILL)
