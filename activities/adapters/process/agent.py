"""Agent turns as supervised processes of this machine, for installations without Docker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from activities.adapters.agents.base import AgentCli, Place, Told
from activities.adapters.agents.outcome import (
    FRESH,
    MAX_OUTCOME_BYTES,
    ClaimedOutcome,
    EndedTurn,
    control_file,
    control_path,
    forgot,
    outcome_of,
    outcome_path,
    parsed_claim,
    prompt_of,
    raise_unless_ended,
    said_by_stopped,
    shared_transcript,
    shown_of,
    unknown_agent,
    variables_of,
)
from activities.adapters.runs.contained_files import read_inside, write_inside
from activities.adapters.runs.follower import LineFollower
from activities.adapters.runs.states import RunAs
from activities.adapters.runs.supervisor import BEHIND_THE_PLATFORM, SupervisedCommand, Supervisor
from activities.adapters.runs.unprivileged import give
from activities.adapters.runs.users import UnprivilegedUsers
from activities.ports import ArtifactStore, Follow
from contracts.agent_workers import TurnOutcome
from contracts.artifacts import ArtifactRef
from contracts.errors import ErrorCode, OrchestratorError
from contracts.ids import turn_name
from contracts.models import ModelTurn
from contracts.states import AgentKind
from contracts.steps import TurnRequest
from contracts.worker_steps import TurnControl, TurnLeft
from runtime.process_mode import model_refused

_MAX_TRANSCRIPT = 64 * 1024 * 1024


class ProcessAgentRuntime:
    """Implements `AgentRuntime`. A turn is the supervised run `turn-<worker>-<turn>`, whoever asks for it.

    Agents run as their own numeric user where `users` can have one, with an environment that holds nothing of the
    platform's, in `<workspaces_dir>/<worker_id>` and with `<homes_dir>/<worker_id>` as home.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        homes_dir: Path,
        workspaces_dir: Path,
        clis: Iterable[AgentCli],
        users: UnprivilegedUsers,
        artifacts: ArtifactStore,
        path: str | None = None,
        *,
        trusts_models: bool = False,
    ) -> None:
        self._trusts_models = trusts_models
        self._supervisor = supervisor
        self._homes_dir = homes_dir
        self._workspaces_dir = workspaces_dir
        self._clis = {cli.kind: cli for cli in clis}
        self._users = users
        self._artifacts = artifacts
        self._path = path or os.environ.get("PATH", os.defpath)

    async def get_ready(self) -> None:
        """Nothing: the programs of agents are on this machine."""

    async def prepare_agent(self, kind: AgentKind) -> None:
        """Nothing, too."""

    async def prepare_turn(self, request: TurnRequest) -> object | None:
        """Nothing, too."""
        return None

    async def run_turn(
        self, request: TurnRequest, follow: Follow, model: ModelTurn | None = None, prepared: object | None = None
    ) -> TurnOutcome:
        """Start or adopt the turn and follow it to its end; never a second agent for the same turn.

        An agent that does not know its session any more is started once without it (`fresh_context`). Raises
        OrchestratorError, all permanent: AGENT_LOST when the supervision was killed (a repeat would pay twice),
        AGENT_FAILED after `timeout_s`, STOPPED_BY_PERSON for a turn that was stopped, INVALID_INPUT for an agent
        that is not set up (those with a model work in containers only), CONTAINERS_NEEDED for one with a model unless
        models are trusted with this machine. A failed agent is not an error but an outcome `failed`.
        """
        if request.agent is not AgentKind.SCRIPTED and not self._trusts_models:
            raise model_refused(request.agent)
        ended = await self._run(request, follow, request.session_id, "", 0)
        fresh = forgot(request, ended)
        if fresh:
            ended = await self._run(request, follow, None, FRESH, ended.offset)
        transcript = await self._keep_transcript(request, ended.name)
        raise_unless_ended(request, ended.status, transcript)
        claim = self._claim(request, ended.name)
        return outcome_of(request, ended, claim, transcript, fresh)

    async def stop_turn(self, request: TurnRequest) -> None:
        """Stop the agent and all that it started; none of it runs when this returns."""
        name = turn_name(request.worker_id, request.turn)
        for one in (name, name + FRESH):
            await self._supervisor.stop(one)

    async def control_turn(self, control: TurnControl) -> bool:
        """Put it where the wrapper of the running turn looks; a second call puts the same there."""
        if not self._cli_of(control.agent).takes_controls:
            return False
        name, home = turn_name(control.worker_id, control.turn), self._home(control.worker_id)
        if self._supervisor.status(name + FRESH).state != "absent":
            name += FRESH
        user = self._users.for_owner(control.worker_id, self._workspaces_dir / control.worker_id)
        await asyncio.to_thread(write_inside, home, control_path(name, control), control_file(control), user)
        return True

    async def left_by(self, request: TurnRequest) -> TurnLeft:
        """The session and the output of the last process of a turn that was stopped."""
        name = turn_name(request.worker_id, request.turn)
        for one in (name + FRESH, name):
            if self._supervisor.status(one).state != "absent":
                content, _ = self._supervisor.read_output(one, 0, _MAX_TRANSCRIPT)
                reader = self._cli(request).reader()
                session_id, content = await asyncio.to_thread(said_by_stopped, request, reader, content)
                return TurnLeft(session_id=session_id, transcript=await self._kept(request, content))
        return TurnLeft()

    async def _kept(self, request: TurnRequest, content: bytes) -> ArtifactRef:
        return await self._artifacts.put(f"turn-{request.turn}.jsonl", content, "application/x-ndjson")

    async def _run(
        self, request: TurnRequest, follow: Follow, session_id: str | None, suffix: str, base: int
    ) -> EndedTurn:
        name = turn_name(request.worker_id, request.turn) + suffix
        reader = self._cli(request).reader()
        follow.facts["process"] = name
        await self._supervisor.start(self._command(request, name, session_id))
        follower = LineFollower(
            self._supervisor, follow, f"{request.worker_id}:{request.turn}", request.request_id, request.task_id
        )
        status, offset = await follower.follow(name, lambda line: shown_of(request, reader, line), base)
        if status.state == "lost":
            # Processes of a turn without a supervisor must not change the workspace any more.
            await self._supervisor.stop(name)
        return EndedTurn(name, status, reader.report, offset)

    def _command(self, request: TurnRequest, name: str, session_id: str | None) -> SupervisedCommand:
        cli, home = self._cli(request), self._home(request.worker_id)
        workspace = self._workspaces_dir / request.worker_id
        user = self._users.for_owner(request.worker_id, workspace)
        if self._supervisor.status(name).state == "absent":
            if not workspace.is_dir():
                raise OrchestratorError(
                    ErrorCode.NOT_FOUND,
                    f"Agent worker {request.worker_id} has no workspace on this machine. Start the task again.",
                )
            _make_home(home, user)
        privileged = user is None and os.geteuid() == 0
        told = Told(prompt_of(request), session_id)
        call = cli.call(told, Place(name, home, workspace, own_user=user is not None, privileged=privileged))
        environment = (
            variables_of(request)
            | dict(call.environment)
            | {
                "PATH": self._path,
                "HOME": str(home),
                "LANG": "C.UTF-8",
                "TMPDIR": str(home / "tmp"),
                "ORCHESTRATOR_OUTCOME": str(home / outcome_path(name)),
                "ORCHESTRATOR_PROFILE": request.profile.value,
            }
        )
        return SupervisedCommand(
            name, call.argv, workspace, environment, request.timeout_s, user=user, niceness=BEHIND_THE_PLATFORM
        )

    def _cli(self, request: TurnRequest) -> AgentCli:
        return self._cli_of(request.agent)

    def _cli_of(self, kind: AgentKind) -> AgentCli:
        cli = self._clis.get(kind)
        if cli is None:
            raise unknown_agent(kind, list(self._clis))
        return cli

    def _home(self, worker_id: str) -> Path:
        return self._homes_dir / worker_id

    def _claim(self, request: TurnRequest, name: str) -> ClaimedOutcome | None:
        """The outcome file, or None when there is no usable one."""
        content = read_inside(self._home(request.worker_id), outcome_path(name), MAX_OUTCOME_BYTES)
        return parsed_claim(content)

    async def _keep_transcript(self, request: TurnRequest, name: str) -> ArtifactRef:
        content, _ = self._supervisor.read_output(name, 0, _MAX_TRANSCRIPT)
        return await self._kept(request, await asyncio.to_thread(shared_transcript, request, content))


def _make_home(home: Path, user: RunAs | None) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    # Only what is new is given away: what the agent made is its own already.
    for directory in (home, home / "tmp", home / "outcomes", home / ".claude"):
        if not os.path.lexists(directory):
            directory.mkdir(mode=0o700)
            give(directory, user)
