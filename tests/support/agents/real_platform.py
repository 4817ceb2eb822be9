"""A platform that works with real agents: its model proxy has a made-up key, and a scripted model is every vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulators.model.model import Model
from emulators.model.records import Record
from emulators.model.scenarios import load
from emulators.model.server import serving
from emulators.model.steps import Scenario, Step
from tests.support.ports import any_free
from tests.support.stack import Stack, running_stack

KEYS = {"ANTHROPIC_API_KEY": "sk-ant-made-up-for-a-test", "OPENAI_API_KEY": "sk-oai-made-up-for-a-test"}
"""What the platform has in place of real keys; the scripted model takes no others."""


@dataclass(frozen=True)
class RealPlatform:
    """`model` runs in this process: tests prescribe to it, and read what it was asked and has billed."""

    stack: Stack
    model: Model

    def prescribe(self, name: str, *steps: dict[str, Any]) -> str:
        """Steps for a wish; returns the directive that belongs into it: `[model:scenario NAME]`."""
        self.model.named[name] = Scenario(name=name, steps=tuple(Step.model_validate(step) for step in steps))
        return f"[model:scenario {name}]"

    @property
    def work(self) -> list[Record]:
        """Every request of an agent's work, oldest first; no titles and the like, no counts of tokens."""
        return [one for one in self.model.records.requests if not one.side and not one.path.endswith("/count_tokens")]

    def named(self, name: str) -> tuple[Step, ...]:
        """The steps of a scenario of `emulators/model/projects`."""
        return self.model.named[name].steps

    @contextmanager
    def playing(self, match: str, *steps: Step, key: str | None = None) -> Iterator[None]:
        """While the block runs, prompts with `match` in them get these steps, whatever directives they hold."""
        one = Scenario(match=match, key=key, steps=steps)
        self.model.scenarios.append(one)
        try:
            yield
        finally:
            self.model.withdraw(one)

    def asked(self, mark: str, *, after: int = 0) -> list[Record]:
        """Requests of the work whose conversation has this text, newer than number `after`."""
        return [one for one in self.work if one.number > after and mark in one.body]


@asynccontextmanager
async def real_platform(home: Path, **extra: str) -> AsyncIterator[RealPlatform]:
    """`orchestrator up` with both keys: new work uses Claude Code unless it names another agent.

    `extra` are further variables. Acceptance is off unless they say otherwise, as on every platform of tests.
    """
    model = Model(keys=set(KEYS.values()), named=load())
    async with serving(model) as url:
        upstream = {
            "ORCHESTRATOR_ANTHROPIC_BASE_URL": url,
            "ORCHESTRATOR_OPENAI_BASE_URL": f"{url}/v1",
            "ORCHESTRATOR_MODEL_PROXY_PORT": str(any_free()),
        }
        async with running_stack(home, stop_services=False, **{**KEYS, **upstream, **extra}) as stack:
            yield RealPlatform(stack, model)
