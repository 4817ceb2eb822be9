"""A platform that finds no Docker Engine, for what does not depend on where things run."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.otlp import Collector, collecting
from tests.support.stack import Stack, running_stack


@dataclass(frozen=True)
class Traced:
    """A platform whose every process sends its spans to one collector."""

    stack: Stack
    collector: Collector


OFTEN = {"ORCHESTRATOR_WORKER_BEAT_S": "2", "ORCHESTRATOR_QUEUE_GRACE_S": "3"}
"""Temporal workers tell more often that they live, and a queue without one is named sooner."""


@pytest.fixture(scope="session")
async def without_docker() -> AsyncIterator[Traced]:
    with TemporaryDirectory(prefix="no-engine-") as directory, pytest.MonkeyPatch.context() as chosen:
        chosen.setenv("DOCKER_HOST", f"unix://{directory}/no-engine.sock")
        chosen.setenv("ORCHESTRATOR_LOG_JSON", "true")
        async with collecting(chosen) as collector, running_stack(Path(directory) / "home", **OFTEN) as stack:
            yield Traced(stack, collector)
