"""How deployed services are, long after their deploy: restarts, and answers that are no longer the right ones."""

import asyncio
from dataclasses import dataclass

import structlog
from temporalio import activity

from activities.following import beating, goes_on
from activities.ports import DeployTarget, Platform
from contracts.base import utc_now
from contracts.errors import OrchestratorError
from contracts.names import ActivityName
from contracts.nouns import DeploymentDTO, ReleaseHealth, ServiceHealth
from contracts.steps import Allocation, DeploymentPlan, LookAfter, LookedAfter, ProbeRequest, ServiceSight

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class HealthActivities:
    target: DeployTarget
    platform: Platform

    @activity.defn(name=ActivityName.SERVICES_LOOK)
    async def look(self, wish: LookAfter) -> LookedAfter:
        """Make rounds until the stretch is over or the worker shuts down: look at every active release and record what
        was seen. A second run makes rounds of its own."""
        clock = asyncio.get_running_loop().time
        until, rounds, seen = clock() + wish.stretch_s, 0, LookedAfter()
        while True:
            rounds += 1
            try:
                seen = await beating(self.look_at_all(wish.at_once))
            except OrchestratorError as error:
                log.warning("deployed services could not be looked at", code=error.code.value)
            if not await goes_on(min(wish.every_s, until - clock())) or clock() >= until:
                return seen.model_copy(update={"rounds": rounds})

    async def look_at_all(self, at_once: int) -> LookedAfter:
        """One round, for whoever is no activity."""
        gate, releases = asyncio.Semaphore(at_once), await self.platform.active_releases()
        seen = [one for one in await asyncio.gather(*(self._look(gate, release) for release in releases)) if one]
        bad = sum(any(service.state == "unhealthy" for service in one.services.values()) for one in seen)
        return LookedAfter(looked_at=len(seen), unhealthy=bad)

    async def _look(self, gate: asyncio.Semaphore, release: DeploymentDTO) -> ReleaseHealth | None:
        """One release; None if its server cannot be asked now: that says nothing about its services."""
        async with gate:
            try:
                result = await self.target.probe(await self._request(release))
                health = _health(release, result.services)
                await self.platform.record_health(release.id, health)
            except OrchestratorError as error:
                log.warning("a release could not be looked at", release=release.id, code=error.code.value)
                return None
        return health

    async def _request(self, release: DeploymentDTO) -> ProbeRequest:
        granted = await self.platform.allocate_ports(release.project_id, [one.name for one in release.services])
        where = Allocation(server_handle=granted.server_handle, server_ip=granted.server_ip, ports=granted.ports)
        return ProbeRequest(
            project_id=release.project_id,
            project_name=release.project_id,  # it has its place on the server, which is found by its id
            release_id=release.id,
            plan=DeploymentPlan(commit=release.commit, services=release.services, environment=[]),
            allocation=where,
            live=True,
        )


def _health(release: DeploymentDTO, seen: dict[str, ServiceSight]) -> ReleaseHealth:
    before = release.health.services if release.health else {}
    return ReleaseHealth(
        seen_at=utc_now(), services={name: health_of(sight, before.get(name)) for name, sight in seen.items()}
    )


def health_of(sight: ServiceSight, before: ServiceHealth | None) -> ServiceHealth:
    """It is in its state since it was first seen in it, or since it was first seen after its last start."""
    state = "stopped" if sight.state == "stopped" else "unhealthy" if sight.error else "healthy"
    goes_on = before is not None and before.state == state and not _was_started_again(sight, before)
    since = before.since if before is not None and goes_on else utc_now()
    error = sight.error if state == "unhealthy" else None
    told = {"state": state, "since": since, "restarts": sight.restarts, "error": error, "pid": sight.pid}
    return ServiceHealth.model_validate(told)


def _was_started_again(sight: ServiceSight, before: ServiceHealth) -> bool:
    """A person's restart begins to count anew, with another process."""
    another = None not in (sight.pid, before.pid) and sight.pid != before.pid
    return another or sight.restarts != before.restarts
