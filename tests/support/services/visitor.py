"""Somebody who asks a service all the time, and what they are answered."""

import asyncio
from dataclasses import dataclass, field

import httpx


@dataclass
class Visitor:
    """Asks the public address all the time, each time over a connection of its own."""

    url: str
    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def __aenter__(self) -> "Visitor":
        self._asking = asyncio.create_task(self._ask())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._asking.cancel()
        await asyncio.wait({self._asking})

    async def _ask(self) -> None:
        while True:
            async with httpx.AsyncClient(trust_env=False, verify=False) as client:
                try:
                    reply = await client.get(f"{self.url}/health", timeout=10)
                    said = reply.json()["version"] if reply.status_code == 200 else f"status {reply.status_code}"
                    (self.answers if reply.status_code == 200 else self.failures).append(said)
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
            await asyncio.sleep(0.03)
