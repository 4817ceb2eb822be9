"""The program that changes releases on a server with an engine: one step, asked for on its standard input.

The first line is an order in JSON; what follows it, for `checkout`, is the archive to build from. The answer is one
line of JSON. Standard library only (see `release_kit`), and root: it is the server's administrator.
"""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from activities.adapters.release import directory
from activities.adapters.release.containers import (
    ReleaseContainers,
    build_image,
    has_image,
    remove_images,
)
from activities.adapters.release.directory import ProjectPlace, claim_place
from activities.adapters.release.services import ReleasedService, load_release
from activities.adapters.runs import process_table
from activities.adapters.runs.states import RunAs
from contracts.errors import OrchestratorError

_SERVICES = Path("/srv")
_CONTEXT = "context.tar"
_FIRST_UID = 20_000
_UIDS = 30_000
_INTERPRETER = "python3"
"""What `{python}` is inside an image: the first of that name on its PATH."""


@dataclass(frozen=True)
class ContainerOrder:
    """What to do. `environment` holds secret values and is given to the step of that name only."""

    step: str
    project_id: str
    project_name: str
    release_id: str = ""
    commit: str = ""
    previous: str | None = None
    host: str = ""
    bind: str = "0.0.0.0"
    services: list[dict[str, Any]] = field(default_factory=list)
    environment: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    start_timeout_s: float = 30.0
    build_timeout_s: float = 1_700.0

    def place(self) -> ProjectPlace:
        return claim_place(_SERVICES, self.project_id, self.project_name)


@dataclass(frozen=True)
class _Work:
    order: ContainerOrder
    place: ProjectPlace

    @property
    def containers(self) -> ReleaseContainers:
        number = _FIRST_UID + int.from_bytes(hashlib.sha256(self.place.slug.encode()).digest()[:4]) % _UIDS
        return ReleaseContainers(self.place, RunAs(number, number), self.order.start_timeout_s)

    @property
    def context(self) -> Path:
        return self.place.release(self.order.release_id) / _CONTEXT

    async def checkout(self) -> dict[str, Any]:
        """Keep the archive until the image is built; a finished release needs none."""
        manifest = directory.recorded_release(self.place, self.order.release_id, self.order.commit)
        if manifest is not None and await has_image(manifest["image"]):
            return {"changed": False}
        self.context.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.context.with_suffix(".draft")
        with draft.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        draft.replace(self.context)
        return {"changed": True}

    async def build(self) -> dict[str, Any]:
        """The image of exactly this commit, or the recorded one; then the release is complete."""
        manifest = directory.read_manifest(self.place, self.order.release_id)
        if manifest is not None and await has_image(manifest["image"]):
            return {"changed": False, "image": manifest["image"]}
        order = self.order
        image = await build_image(self.place, order.release_id, order.commit, self.context, order.build_timeout_s)
        services = [ReleasedService(**service) for service in order.services]
        finished = {
            "release_id": order.release_id,
            "commit": order.commit,
            "host": order.host,
            "bind": order.bind,
            "image": image,
            "services": [
                asdict(service) | {"argv": [part.replace("{python}", _INTERPRETER) for part in service.argv]}
                for service in services
            ],
        }
        directory.finish_release(self.place, order.release_id, finished)
        self.context.unlink()
        return {"changed": True, "image": image}

    async def environment(self) -> dict[str, Any]:
        for service, values in self.order.environment.items():
            directory.write_environment(self.place, self.order.release_id, service, values)
        return {"changed": True}

    async def candidate(self) -> dict[str, Any]:
        await self.containers.try_candidate(load_release(self.place, self.order.release_id))
        return {"changed": False}

    async def switch(self) -> dict[str, Any]:
        release = load_release(self.place, self.order.release_id)
        await self.containers.switch(release)
        return {"changed": True, "image": release.image}

    async def revert(self) -> dict[str, Any]:
        await self.containers.return_to(self.order.release_id, self.order.previous)
        await self._forget_unserved(self.order.release_id)
        return {}

    async def abandon(self) -> dict[str, Any]:
        """After a cancel: what was current before the release serves."""
        before = directory.current_release(self.place)
        if before == self.order.release_id:
            before = self.order.previous
        await self.containers.return_to(self.order.release_id, before)
        await self._forget_unserved(self.order.release_id)
        return {}

    async def stop(self) -> dict[str, Any]:
        await self.containers.stop_project()
        return {}

    async def restart(self) -> dict[str, Any]:
        release = await self.containers.restart(self.order.release_id or None)
        return {"host": release.host, "ports": {service.name: service.port for service in release.services}}

    async def remove(self) -> dict[str, Any]:
        """Containers, images, releases and their secrets go; data is kept in `.removed`."""
        await self.containers.stop_project()
        await remove_images(self.place)
        directory.remove_place(self.place, _SERVICES)
        return {}

    async def status(self) -> dict[str, Any]:
        """How each service of the release fares at the public address."""
        order, found = self.order, {}
        for name in await self.containers.names():
            service, _, release = name.removeprefix(f"svc-{self.place.slug}-").partition("-")
            if release == order.release_id:
                status = await self.containers.state(name)
                found[service] = {"state": status.state, "pid": status.pid, "restarts": status.restarts}
        return {"services": found}

    async def _forget_unserved(self, release_id: str) -> None:
        if not self.place.release(release_id).exists():
            await remove_images(self.place, release_id)


STEPS: dict[str, Callable[[_Work], Awaitable[dict[str, Any]]]] = {
    "checkout": _Work.checkout,
    "build": _Work.build,
    "environment": _Work.environment,
    "candidate": _Work.candidate,
    "switch": _Work.switch,
    "revert": _Work.revert,
    "abandon": _Work.abandon,
    "stop": _Work.stop,
    "restart": _Work.restart,
    "remove": _Work.remove,
    "status": _Work.status,
}
_LOOKS = frozenset({"status"})
"""Steps that change nothing neither wait for others nor end them."""


def main() -> int:
    """Answer on standard output; the exit code is 0 also for a step that failed and says why."""
    order = ContainerOrder(**json.loads(sys.stdin.buffer.readline()))
    try:
        answer = asyncio.run(_answer(order))
    except OrchestratorError as error:
        answer = {"failed": True, "msg": error.message, "code": error.code.value, "retryable": error.retryable}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


async def _answer(order: ContainerOrder) -> dict[str, Any]:
    place = order.place()
    if order.step in _LOOKS:
        return await STEPS[order.step](_Work(order, place))
    with _alone(place):
        return await STEPS[order.step](_Work(order, place))


@contextmanager
def _alone(place: ProjectPlace) -> Iterator[None]:
    """One program at a time per project, and the last one wins: who holds the lock has lost its platform.

    A project has one deployment at a time, so a holder is the orphan of a playbook that was killed or cancelled; it
    would go on building or waiting for minutes.
    """
    holder = place.root / ".holder"
    _end(holder)
    with directory.changing(place):
        mine = process_table.entry(os.getpid())
        directory.write_private(holder, json.dumps([os.getpid(), mine.start_ticks if mine else 0]))
        yield


def _end(holder: Path) -> None:
    try:
        pid, ticks = json.loads(holder.read_text())
    except FileNotFoundError:
        return
    if process_table.same_process(pid, ticks):
        below = process_table.descendants([pid], process_table.entries())
        process_table.signal_all([pid, *below], signal.SIGKILL)
