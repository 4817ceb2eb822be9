"""A platform with real agents, and the bot with an emulated Telegram beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from emulators.model.steps import Do, Step
from emulators.telegram.telegram import Telegram
from tests.support.agents.real_platform import RealPlatform, real_platform
from tests.support.people.chat import ChatSystem, ChatUser, running_chat_system
from tests.support.services import engine

FIRST, INTERRUPTED, HANDED_OVER = "Read TASK.md", "You were interrupted", "worked on this in the same workspace"
"""Words of the platform's prompts: the first one, one after a limit, one for an agent that takes over."""


@dataclass(frozen=True)
class Limited:
    """`real` and what people see of it."""

    real: RealPlatform
    chat: ChatSystem

    async def task(self, user: ChatUser) -> dict[str, Any]:
        """The only delivery of a user."""
        [task] = await self.chat.tasks_of(user)
        return task

    async def agent_containers(self) -> list[str]:
        """Turns that run now on this machine, by the name of their container."""
        return [line for line in await engine.here("turn-eng-") if "tini" in line]

    @asynccontextmanager
    async def chosen(self, name: str, value: str) -> AsyncIterator[None]:
        """A setting of the installation while the block runs."""
        await self.real.stack.ok("settings", "set", name, value)
        try:
            yield
        finally:
            await self.real.stack.ok("settings", "unset", name)


@pytest.fixture(scope="session")
async def limited() -> AsyncIterator[Limited]:
    with TemporaryDirectory(prefix="limited-") as directory:
        async with (
            engine.used(),
            real_platform(Path(directory) / "home") as real,
            running_chat_system(real.stack, Telegram()) as chat,
        ):
            yield Limited(real, chat)


def fault(status: int, **fields: Any) -> Step:
    """A refusal of the vendor, once unless `times` says more."""
    return Step.model_validate({"do": Do.STATUS, "status": status, "times": 1, **fields})


def run(command: str) -> Step:
    """The agent runs a command."""
    return Step.model_validate({"do": Do.RUN, "text": command})


def commits(text: str, message: str = "It is there.") -> list[Step]:
    """The agent commits what is there, and reports that it is done."""
    found = [{"do": Do.COMMIT, "text": text}, {"do": Do.DONE, "text": message}]
    return [Step.model_validate(one) for one in found]


def gives_up(text: str) -> Step:
    """The agent reports that it cannot do it."""
    return Step.model_validate({"do": Do.FAIL, "text": text})


async def serves_notes(url: str) -> bool:
    """Whether what was asked for is online."""
    async with httpx.AsyncClient(timeout=20) as http:
        made = await http.post(f"{url}/notes", json={"title": "One", "text": "Two"})
        listed = await http.get(f"{url}/notes")
    return made.status_code == 201 and [one["title"] for one in listed.json()] == ["One"]
