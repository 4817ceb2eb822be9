"""The images of agents and tests, built on demand. A tag is a hash of what its image is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from activities.adapters.containers.engine import DockerContainerEngine
from activities.adapters.containers.images import recipes
from activities.adapters.containers.images.agent_programs import AGENT_PROGRAMS
from activities.adapters.containers.images.builder import ImageBuilder
from activities.adapters.containers.images.environments import EnvironmentBuilder
from activities.adapters.packages.environment_file import Environment, Read, read_environment
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentKind


@dataclass(frozen=True)
class ProjectImage:
    """The image for a turn in a project. `problem` says, for the agent, why the project's environment is not in it.

    `reaches_out` is False if the project declares that turns need no way out.
    """

    tag: str
    problem: str | None = None
    reaches_out: bool = True


class DockerImages:
    """`locks_dir` is where builders on this machine wait for each other.

    Every method returns the tag of an image that exists and has passed its smoke test; what is missing is built: with
    the network, in a minute or two, by one builder at a time. Raises OrchestratorError PROCESS_FAILED (transient) with
    the end of the build's output.
    """

    def __init__(self, engine: DockerContainerEngine, locks_dir: Path) -> None:
        self._builder = ImageBuilder(engine, locks_dir)
        self._environments = EnvironmentBuilder(self._builder, locks_dir)

    async def worker(self) -> str:
        """The image of the scripted agent and of tests."""
        return await self._builder.ensure(await asyncio.to_thread(recipes.worker_layers))

    async def browser(self) -> str:
        """The image of tests with Debian's Chromium, for checks of pages."""
        return await self._builder.ensure(await asyncio.to_thread(recipes.browser_layers))

    async def agent(self, kind: AgentKind, capabilities: Sequence[str] = ()) -> str:
        """The image of an agent with these capabilities; the scripted agent's stands on that of tests.

        Raises INVALID_INPUT for an agent without an image, and for a capability that is not known.
        """
        if kind is not AgentKind.SCRIPTED and kind not in AGENT_PROGRAMS:
            raise OrchestratorError(ErrorCode.INVALID_INPUT, f"There is no image for the agent {kind.value}.")
        return await self._builder.ensure(await asyncio.to_thread(recipes.agent_layers, kind, list(capabilities)))

    async def environment(self, parent: str, environment: Environment) -> str:
        """`parent` with a project's environment on it, made once for the same content.

        Raises OrchestratorError ENVIRONMENT_FAILED (permanent, `details["evidence"]`) if what the project declares
        cannot be set up: then its file is at fault, and neither the agent nor this machine.
        """
        return await self._environments.ensure(parent, environment)

    async def project(self, parent: str, read: Read) -> ProjectImage:
        """`parent` with the environment that the repository declares, read through `read`.

        An environment that cannot be set up stops no turn: only an agent can repair its file.
        """
        try:
            environment = await read_environment(read)
            tag = await self.environment(parent, environment)
        except OrchestratorError as error:
            if error.code is not ErrorCode.ENVIRONMENT_FAILED:
                raise
            return ProjectImage(parent, str(error.details["evidence"]))
        return ProjectImage(tag, None, environment.file.egress != "none")


def files_in(engine: DockerContainerEngine, container: str, directory: str) -> Read:
    """Reads the files of a repository in a container, which need not run; links are no files of it."""

    async def read(path: str, limit: int) -> bytes | None:
        return await engine.read_file(container, f"{directory}/{path}", limit)

    return read
