"""Agent turns as containers: one container per turn, nothing between turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path

from activities.adapters.agents.base import AgentCli, Place, Told
from activities.adapters.agents.outcome import (
    FRESH,
    MAX_OUTCOME_BYTES,
    SECRET_NAME,
    EndedTurn,
    control_file,
    control_path,
    facts_of,
    forgot,
    outcome_of,
    outcome_path,
    parsed_claim,
    prompt_of,
    raise_unless_ended,
    refused_outcome,
    said_by_stopped,
    shared_transcript,
    shown_of,
    unknown_agent,
    variables_of,
)
from activities.adapters.agents.wrapped import MODEL_PLACE
from activities.adapters.containers.egress import EgressGateways, way_out
from activities.adapters.containers.engine import Bind, ContainerSpec, Limits
from activities.adapters.containers.images import DockerImages, ProjectImage, files_in
from activities.adapters.containers.runs import (
    ContainerRuns,
    Contents,
    archive_of,
    beating,
)
from activities.adapters.containers.workspaces import HOME, WORKER_LABEL, WORKSPACE, binds_of, helper_name
from activities.adapters.forge.clones import workspace_missing
from activities.adapters.runs.follower import LineFollower
from activities.adapters.runs.states import RunStatus
from activities.ports import ArtifactStore, Follow
from contracts.agent_logins import PLACE as LOGIN_PLACE
from contracts.agent_logins import login_of
from contracts.agent_workers import TurnOutcome
from contracts.artifacts import ArtifactRef
from contracts.errors import ErrorCode, OrchestratorError
from contracts.ids import turn_name
from contracts.models import ModelTurn
from contracts.states import AgentKind
from contracts.steps import TurnRequest
from contracts.worker_steps import TurnControl, TurnLeft

AGENTS_NETWORK = "orchestrator-agents"
"""Of gateways and of the installation of packages: neither runs code of an agent or a project."""
_WITHOUT_ENVIRONMENT = "You work without the environment that the project declares, because it could not be set up:"
_WITHOUT_PACKAGES = (
    "This container has no network of its own. If the project's packages are not here and cannot be installed, run "
    "what works without them, and say what you could not run: the platform runs `make check test` on what you commit, "
    "and tells you what it has found."
)
"""Only tests have the packages of a project's requirements; agents have what its environment declares."""
_MAX_TRANSCRIPT = 64 * 1024 * 1024


class DockerAgentRuntime:
    """Implements `AgentRuntime`. A turn is the container `turn-<worker>-<turn>`, whoever asks for it.

    It has no network: what its project's `egress_hosts` allow, it reaches through a gateway.

    The programs of `clis` are paths inside the image. Ended containers stay until the workspace is removed, so that
    a turn can always be read again.
    """

    def __init__(
        self,
        runs: ContainerRuns,
        images: DockerImages,
        clis: Iterable[AgentCli],
        artifacts: ArtifactStore,
        limits: Limits | None = None,
        network: str = AGENTS_NETWORK,
        own_hosts: tuple[str, ...] = (),
        restore: Callable[[str], Awaitable[None]] | None = None,
        model_place: Bind | None = None,
    ) -> None:
        """`restore` makes the workspace of an agent worker whole when somebody has removed a part of it.

        `model_place` is the directory with the socket of the model proxy; agents with a model cannot work without.
        """
        self._runs = runs
        self._engine = runs.engine
        self._images = images
        self._clis = {cli.kind: cli for cli in clis}
        self._artifacts = artifacts
        self._limits = limits or Limits()
        self._gateways = EgressGateways(self._engine, images, network, own_hosts)
        self._restore = restore
        self._model_place = model_place

    async def get_ready(self) -> None:
        """Build the worker image if it is missing: about a minute, once on a machine."""
        await self._images.worker()

    async def prepare_agent(self, kind: AgentKind) -> None:
        """Build the agent's image if it is missing: minutes, and some hundred megabytes from the registries."""
        await self._images.agent(kind)

    async def prepare_turn(self, request: TurnRequest) -> object | None:
        """The image with the environment of the project; built if it is missing, which can take minutes.

        Raises NOT_FOUND without a workspace, INVALID_INPUT for an agent that is not set up.
        """
        return None if await self._has_begun(request) else await self._image(request)

    async def run_turn(
        self, request: TurnRequest, follow: Follow, model: ModelTurn | None = None, prepared: object | None = None
    ) -> TurnOutcome:
        """Start or adopt the turn and follow it to its end; never a second agent for the same turn.

        A turn whose `model` is refused is not started; one that has been started before is followed all the same.

        An agent that does not know its session any more is started once without it (`fresh_context`). Raises
        OrchestratorError, permanent: AGENT_LOST when the container was killed or removed from outside (a repeat
        would pay twice), AGENT_FAILED after `timeout_s`, STOPPED_BY_PERSON for a turn that was stopped,
        INVALID_INPUT for an agent that is not set up, NOT_FOUND without a workspace. DOCKER_UNREACHABLE is
        transient. A failed agent is not an error but an outcome `failed`.
        """
        if model is not None and model.refused is not None and not await self._has_begun(request):
            return refused_outcome(request, model.refused)
        image = prepared if isinstance(prepared, ProjectImage) else None
        login = login_of(request.agent) if request.login_volume is not None else None
        told = Told(prompt_of(request), request.session_id, model, login)
        ended, transcript = await self._run(request, follow, told, "", 0, image)
        fresh = forgot(request, ended)
        if fresh:
            ended, transcript = await self._run(
                request, follow, replace(told, session_id=None), FRESH, ended.offset, image
            )
        await self._gateways.close(request.worker_id)
        raise_unless_ended(request, ended.status, transcript)
        content = await self._claim(request, ended.name)
        return outcome_of(request, ended, parsed_claim(content), transcript, fresh)

    async def _claim(self, request: TurnRequest, name: str) -> bytes | None:
        """What the agent wrote down of its outcome. It is in a volume, so it outlives a container that is removed."""
        content = await self._engine.read_file(name, _outcome_file(name), MAX_OUTCOME_BYTES)
        if content is None and self._restore is not None and await self._engine.inspect(name) is None:
            await self._restore(request.worker_id)
            content = await self._engine.read_file(
                helper_name(request.worker_id), _outcome_file(name), MAX_OUTCOME_BYTES
            )
        return content

    async def _end_left(self, request: TurnRequest, name: str) -> RunStatus | None:
        """How a turn has ended whose container was removed since, as a prune does; None if it was killed."""
        if self._restore is None or await self._engine.inspect(name) is not None:
            return None
        await self._restore(request.worker_id)
        return await self._runs.end_left_in(helper_name(request.worker_id), name)

    async def stop_turn(self, request: TurnRequest) -> None:
        """Stop the agent and all that it started; nothing of it runs when this returns."""
        name = turn_name(request.worker_id, request.turn)
        for one in (name, name + FRESH):
            await self._runs.stop(one)
        await self._gateways.close(request.worker_id)

    async def _has_begun(self, request: TurnRequest) -> bool:
        return (await self._runs.status(turn_name(request.worker_id, request.turn))).state != "absent"

    async def control_turn(self, control: TurnControl) -> bool:
        """Put it where the wrapper of the running turn looks; a second call puts the same there.

        Raises NOT_FOUND without a workspace.
        """
        if not self._cli_of(control.agent).takes_controls:
            return False
        name, helper = turn_name(control.worker_id, control.turn), helper_name(control.worker_id)
        if (await self._runs.status(name + FRESH)).state != "absent":
            name += FRESH
        if await self._engine.inspect(helper) is None:
            raise workspace_missing(control.worker_id)
        archive = archive_of({control_path(name, control): control_file(control)}, folders=True)
        await self._engine.put_archive(helper, HOME, archive)
        return True

    async def left_by(self, request: TurnRequest) -> TurnLeft:
        """The session and the output of the last container of a turn that was stopped."""
        name = turn_name(request.worker_id, request.turn)
        for one in (name + FRESH, name):
            if (await self._runs.status(one)).state != "absent":
                return await self._left_in(request, one)
        return TurnLeft()

    async def _left_in(self, request: TurnRequest, name: str) -> TurnLeft:
        reader = self._cli(request).reader()
        async with self._runs.output(name) as output:
            await output.wait(name)
            content, _ = output.read_output(name, 0, _MAX_TRANSCRIPT)
        session_id, content = await asyncio.to_thread(said_by_stopped, request, reader, content)
        return TurnLeft(session_id=session_id, transcript=await self._kept(request, content))

    async def _kept(self, request: TurnRequest, content: bytes) -> ArtifactRef:
        return await self._artifacts.put(f"turn-{request.turn}.jsonl", content, "application/x-ndjson")

    async def _run(
        self,
        request: TurnRequest,
        follow: Follow,
        told: Told,
        suffix: str,
        base: int,
        image: ProjectImage | None,
    ) -> tuple[EndedTurn, ArtifactRef]:
        name = turn_name(request.worker_id, request.turn) + suffix
        reader = self._cli(request).reader()
        follow.facts["container"] = name
        await beating(follow, self._begin(request, name, told, image))
        token = told.model.token if told.model is not None else None

        def shown(line: bytes) -> list[str]:
            texts = shown_of(request, reader, line, token)
            follow.facts.update(facts_of(request, reader.report))
            return texts

        async with self._runs.output(name) as output:
            follower = LineFollower(
                output, follow, f"{request.worker_id}:{request.turn}", request.request_id, request.task_id
            )
            status, offset = await follower.follow(name, shown, base)
            content, _ = output.read_output(name, 0, _MAX_TRANSCRIPT)
        if status.state == "lost":
            left = await beating(follow, self._end_left(request, name))
            status = left or status
        transcript = await self._kept(request, await asyncio.to_thread(shared_transcript, request, content, token))
        return EndedTurn(name, status, reader.report, offset), transcript

    async def _begin(self, request: TurnRequest, name: str, told: Told, image: ProjectImage | None) -> RunStatus:
        status = await self._runs.status(name)
        if status.state != "absent":
            return status
        image = image or await self._image(request)
        if not image.reaches_out:
            request = request.model_copy(update={"egress_hosts": []})
        if request.agent is not AgentKind.SCRIPTED and told.session_id is None:
            told = replace(told, prompt=f"{told.prompt}\n\n{_WITHOUT_PACKAGES}")
        if image.problem is not None:
            told = replace(told, prompt=f"{_WITHOUT_ENVIRONMENT}\n{image.problem}\n\n{told.prompt}")
        if request.egress_hosts:
            await self._gateways.open(request.worker_id, request.egress_hosts, _labels(request))
        contents, spec = await self._spec(request, name, told, image.tag)
        return await self._runs.start(spec, request.timeout_s, contents)

    async def _image(self, request: TurnRequest) -> ProjectImage:
        """The agent's, with the environment that the repository in its workspace declares, once that is whole."""
        # The agent waits for both, so neither waits for the other.
        _, agent = await asyncio.gather(
            self._whole_workspace(request.worker_id),
            self._images.agent(self._cli(request).kind, request.capabilities),
        )
        return await self._images.project(agent, files_in(self._engine, helper_name(request.worker_id), WORKSPACE))

    async def _whole_workspace(self, worker_id: str) -> None:
        if self._restore is not None:
            await self._restore(worker_id)
        elif await self._engine.inspect(helper_name(worker_id)) is None:
            raise workspace_missing(worker_id)

    async def _spec(self, request: TurnRequest, name: str, told: Told, image: str) -> tuple[Contents, ContainerSpec]:
        """What no record of the engine may show, and the container without it."""
        cli = self._cli(request)
        call = cli.call(told, Place(name, Path(HOME), Path(WORKSPACE)))
        hidden = {key: value for key, value in variables_of(request).items() if key not in call.environment}
        hidden |= {key: value for key, value in call.environment.items() if SECRET_NAME.search(key)} | dict(
            call.secrets
        )
        seen = {key: value for key, value in call.environment.items() if key not in hidden}
        seen |= {"HOME": HOME, "LANG": "C.UTF-8", "TMPDIR": "/tmp"}
        seen |= {"ORCHESTRATOR_OUTCOME": _outcome_file(name), "ORCHESTRATOR_PROFILE": request.profile.value}
        binds: tuple[Bind, ...] = binds_of(request.worker_id)
        if request.egress_hosts:
            socket, variables = way_out(request.worker_id)
            binds, seen = (*binds, socket), seen | variables
        if request.login_volume is not None:
            binds = (*binds, await self._login(request.login_volume, cli.kind))
        elif cli.needs_model:
            binds = (*binds, self._way_to_model())
        spec = ContainerSpec(
            name,
            image,
            call.argv,
            environment=seen,
            working_dir=WORKSPACE,
            binds=binds,
            labels=_labels(request),
            limits=self._limits,
            read_only=True,
            early=call.early,
        )
        return Contents(files=call.files, variables=hidden), spec

    async def _login(self, volume: str, kind: AgentKind) -> Bind:
        if not await self._engine.volume_exists(volume):
            raise OrchestratorError(
                ErrorCode.INVALID_INPUT,
                f"There is no log-in for {kind.value} on this machine yet. "
                f"Make one: orchestrator agent login {kind.value}",
            )
        return Bind(volume, LOGIN_PLACE)

    def _way_to_model(self) -> Bind:
        if self._model_place is None:
            raise OrchestratorError(
                ErrorCode.INVALID_INPUT, "Agents with a model need the model proxy, which is not set up here."
            )
        return replace(self._model_place, target=MODEL_PLACE, read_only=True)

    def _cli(self, request: TurnRequest) -> AgentCli:
        return self._cli_of(request.agent)

    def _cli_of(self, kind: AgentKind) -> AgentCli:
        cli = self._clis.get(kind)
        if cli is None:
            raise unknown_agent(kind, list(self._clis))
        return cli


def _outcome_file(name: str) -> str:
    return f"{HOME}/{outcome_path(name)}"


def _labels(request: TurnRequest) -> dict[str, str]:
    return {
        WORKER_LABEL: request.worker_id,
        "codegen-orchestrator.project": request.project_id,
        "codegen-orchestrator.task": request.task_id,
        "codegen-orchestrator.turn": str(request.turn),
    }
