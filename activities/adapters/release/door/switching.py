"""How services change behind the front door: the new ones start beside the old ones, then the door leads to them.

Standard library only: servers import it.
"""

from abc import abstractmethod
from dataclasses import dataclass

from activities.adapters.release.door.front_door import FrontDoor, Route
from activities.adapters.release.services import Release, ReleaseServices


@dataclass(frozen=True, kw_only=True)
class ServicesBehindDoor(ReleaseServices):
    """With a `door` live services listen on private addresses, which it leads to; without one they listen at the public
    address themselves, and the previous release is stopped first."""

    door: FrontDoor | None = None

    @abstractmethod
    async def private_address(self, name: str) -> tuple[str, int] | None:
        """Host and port of a live service, running or not; None for one that is at the public address itself."""

    async def _in_the_way(self, release: Release) -> list[str]:
        """All without a door; with one what may not run twice, and what holds a public address itself."""
        others = await super()._in_the_way(release)
        if self.door is None:
            return others
        alone = {service.name for service in release.services if service.alone}
        return [one for one in others if self._service(one) in alone or await self.private_address(one) is None]

    def _service(self, name: str) -> str:
        return name.removeprefix(f"svc-{self.place.slug}-").partition("-")[0]

    async def _open(self, release: Release) -> None:
        if self.door is None:
            return
        routes = []
        for one in release.services:
            if (private := await self.private_address(self._name(release, one, "live"))) is not None:
                routes.append(Route(one.name, release.bind, one.port, private[1], private[0]))
        await self.door.lead(self.place.slug, routes)

    async def _close(self) -> None:
        if self.door is not None:
            await self.door.close(self.place.slug)

    async def _leave(self, release: Release) -> None:
        """Once the requests that they answer have ended."""
        others = await self.live(other_than=release.release_id)
        if self.door is not None and others:
            private = [await self.private_address(name) for name in others]
            await self.door.drained(self.place.slug, [f"{one[0]}:{one[1]}" for one in private if one is not None])
        await self._stop_all(others)

    async def _holds(self, port: int) -> bool:
        return self.door is not None and await self.door.holds(self.place.slug, port)
