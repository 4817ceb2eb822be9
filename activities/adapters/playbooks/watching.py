"""Looking at a release from outside: a probe of a second, or a watch of many. Both see every service by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from activities.adapters.release.probe import Expectation, Look, bot_link, look, url_host, why_not_live
from contracts.errors import OrchestratorError, bounded, end_of
from contracts.nouns import DeploymentDTO
from contracts.steps import Allocation, ProbeRequest, ProbeResult, ServiceProcess, ServiceSight, Serving
from contracts.wording import counted

LOOKS = 3
LOOK_EVERY_S = 0.3
WATCH_EVERY_S = 1.0
_WRONG_FOR_S = 10.0
"""A service that answers wrongly may be busy, or a bot on its way to Telegram; after this long it is broken."""
_CUT_S = 40.0
"""How long no answer may be the network's fault: a cut of half a minute, and what it takes to be over."""
_LOOK_AGAIN_S = 2.0

_TAIL = 1_200

Ask = Callable[[str], Awaitable[dict[str, Any]]]
"""What the release program answers to a step that only looks, by service."""


@dataclass(frozen=True)
class Outside:
    """One release as its users see it. `ask` says what runs there: `status` has state, pid and number of restarts of
    each service that is there, `tails` the end of its log."""

    request: ProbeRequest
    ask: Ask

    async def probe(self) -> ProbeResult:
        """Look at every service several times; the first wrong answer and any restart in between are the verdict.

        No answer from services that run undisturbed is looked at again for a while: the way to them may be cut.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + (0 if self.request.live else _CUT_S)
        before = await self._sights()  # of all looks: whoever restarts in the silence is noticed after it
        while True:
            answers = await self._several_answers()
            wrong, restarted = self._wrong(answers, live=self.request.live), _restarted(before, await self._sights())
            silent = any(name in wrong and not answer.answered for name, answer in answers.items())
            if not silent or restarted or clock() > until:
                return await self._judged(wrong | restarted, answers, before)
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def watch(self) -> ProbeResult:
        """Look every second for `watch_s` seconds, and longer while one answers wrongly that may still recover.

        A crash since the services were `seen` ends it at once: the watch may have begun anew in between.
        """
        loop = asyncio.get_running_loop()
        began, seen = loop.time(), self.request.seen or await self._sights()
        wrong_since: dict[str, float] = {}
        while True:
            answers, sights = await self._answers(), await self._sights()
            now, wrong = loop.time(), self._wrong(answers, live=True) | _not_running(sights)
            wrong_since = {service: wrong_since.get(service, now) for service in wrong}
            lasting = {
                name: wrong[name]
                for name, since in wrong_since.items()
                if now - since >= _patience(answers[name], sights[name])
            }
            crashed = _crashed(seen, sights)
            if crashed or lasting or (not wrong and now - began >= self.request.watch_s):
                return await self._judged(lasting | crashed, answers, sights)
            await asyncio.sleep(WATCH_EVERY_S)

    async def _several_answers(self) -> dict[str, Look]:
        """The first wrong answer of each service, or its last one."""
        answers: dict[str, Look] = {}
        wrong: dict[str, str] = {}
        for number in range(LOOKS):
            await asyncio.sleep(LOOK_EVERY_S if number else 0)
            answers |= {name: one for name, one in (await self._answers()).items() if name not in wrong}
            wrong = self._wrong(answers, live=self.request.live)
        return answers

    async def _sights(self) -> dict[str, ServiceSight]:
        found = await self.ask("status")
        known = {name: dict(zip(("state", "pid", "restarts"), told, strict=True)) for name, told in found.items()}
        names = [service.name for service in self.request.plan.services]
        return {name: ServiceSight.model_validate(known.get(name, {})) for name in names}

    async def _answers(self) -> dict[str, Look]:
        services = self.request.plan.services
        looks = await asyncio.gather(*(self._look(service) for service in services))
        return {service.name: one for service, one in zip(services, looks, strict=True)}

    async def _look(self, service: ServiceProcess) -> Look:
        expected = Expectation(service.health_path, service.health_contains, self.request.release_id)
        allocation = self.request.allocation
        return await look(allocation.server_ip, ports(allocation)[service.name], expected)

    def _wrong(self, answers: dict[str, Look], *, live: bool) -> dict[str, str]:
        """What is wrong with the answers, by service."""
        found: dict[str, str] = {}
        for service in self.request.plan.services:
            answer = answers[service.name]
            why = why_not_live(answer, service.live_contains) if live or not answer.ok else None
            found |= {service.name: why} if why else {}
        return found

    async def _judged(
        self, wrong: dict[str, str], answers: dict[str, Look], sights: dict[str, ServiceSight]
    ) -> ProbeResult:
        services = {name: self._told(one, name, answers[name], wrong.get(name)) for name, one in sights.items()}
        url = str(services[main_service(list(services))].link)
        bad = next((name for name in services if name in wrong), None)
        if bad is None:
            return ProbeResult(ok=True, url=url, status_code=200, services=services)
        status, restarts = answers[bad].status_code, sights[bad].restarts
        error = bounded(f"{bad} at {self._address(bad)}: {wrong[bad]}{await self._told_by(bad)}", 1_900)
        return ProbeResult(ok=False, url=url, status_code=status, restarts=restarts, error=error, services=services)

    def _told(self, sight: ServiceSight, name: str, answer: Look, why: str | None) -> ServiceSight:
        error = bounded(why, 1_900) if why else None
        return sight.model_copy(update={"link": bot_link(answer.text) or self._address(name), "error": error})

    async def _told_by(self, service: str) -> str:
        """The end of a service's log, for whoever has to repair it; nothing if it cannot be read."""
        try:
            tail = end_of(str((await self.ask("tails")).get(service) or "").strip(), _TAIL)
        except OrchestratorError:
            return ""
        return f"\nThe end of its log:\n{tail}" if tail else ""

    def _address(self, service: str) -> str:
        allocation = self.request.allocation
        return service_url(allocation.server_ip, ports(allocation)[service])


def _patience(answer: Look, sight: ServiceSight) -> float:
    """How long this may go on, in seconds. A process that runs and is silent may be cut off."""
    return _CUT_S if not answer.answered and sight.state == "running" else _WRONG_FOR_S


def _restarted(before: dict[str, ServiceSight], after: dict[str, ServiceSight]) -> dict[str, str]:
    """Which services are no longer the processes that they were, and what they are now."""
    found = {}
    for name, first in before.items():
        last = after[name]
        if last.state != "running" or (last.pid, last.restarts) != (first.pid, first.restarts):
            times = f", {counted(last.restarts, 'restart')}" if last.restarts else ""
            found[name] = f"its process restarted or ended while it was watched ({last.state}{times})"
    return found


def _crashed(before: dict[str, ServiceSight], now: dict[str, ServiceSight]) -> dict[str, str]:
    """Which services had to be started again. An engine that was restarted starts its containers anew without counting:
    that says nothing about the service."""
    counts = {name: now[name].restarts - first.restarts for name, first in before.items()}
    said = {name: counted(times, "time") for name, times in counts.items() if times > 0}
    return {name: f"it ended and was started again ({times})" for name, times in said.items()}


def _not_running(sights: dict[str, ServiceSight]) -> dict[str, str]:
    return {
        name: f"its process does not run ({one.state})"
        for name, one in sights.items()
        if one.state != "running" or one.pid is None
    }


async def seen(allocation: Allocation, releases: list[DeploymentDTO]) -> Serving:
    """Which of these releases answers at all its addresses, asked once."""
    answers, detail = False, ""
    for release in releases:
        looks = await asyncio.gather(*(_look_once(allocation, release, service) for service in release.services))
        if looks and all(one.ok for one in looks):
            return Serving(release_id=release.id, answers=True)
        answers = answers or any(one.answered for one in looks)
        detail = detail or next((one.error for one in looks if one.error), "")
    return Serving(answers=answers, detail=bounded(detail, 500))


async def _look_once(allocation: Allocation, release: DeploymentDTO, service: ServiceProcess) -> Look:
    port = ports(allocation).get(service.name)
    if port is None:
        return Look(False, error=f"{service.name} has no port")
    expected = Expectation(service.health_path, service.health_contains, release.id)
    return await look(allocation.server_ip, port, expected)


def main_service(names: list[str]) -> str:
    """The service whose address is the project's."""
    return "backend" if "backend" in names else names[0]


def service_url(host: str, port: int) -> str:
    return f"http://{url_host(host)}:{port}"


def ports(allocation: Allocation) -> dict[str, int]:
    return {item.service: item.port for item in allocation.ports}
