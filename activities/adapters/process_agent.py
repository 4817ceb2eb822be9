"""Agent turns as supervised processes of this machine, for installations without Docker."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from activities.adapters.agent_clis import AgentCli, AgentReport
from activities.adapters.contained_files import read_inside
from activities.adapters.line_follower import LineFollower, readable
from activities.adapters.supervision import RunAs, RunStatus, SupervisedCommand, Supervisor
from activities.adapters.unprivileged import UnprivilegedUsers, give
from activities.ports import ArtifactStore, Follow
from contracts.agent_workers import TurnOutcome
from contracts.artifacts import ArtifactRef
from contracts.errors import ErrorCode, OrchestratorError, bounded
from contracts.ids import turn_name
from contracts.steps import TurnRequest

_MAX_OUTCOME_BYTES = 256 * 1024
_MAX_SUMMARY = 20_000
_MAX_CHOICES = 10
_MAX_FILES = 1_000
_FRESH = "-fresh"
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_OURS = re.compile(r"PATH|HOME|LANG|SHELL|TMPDIR|LD_.*|PYTHON.*|GIT_.*|CLAUDE_CONFIG_DIR|ORCHESTRATOR_(OUTCOME|RUN)")
"""Variables that a request may not set: they decide what runs and where it writes."""
_SECRET_NAME = re.compile(r"TOKEN|KEY|SECRET|PASSWORD", re.IGNORECASE)


class ClaimedOutcome(BaseModel):
    """The file that an agent leaves behind; every word of it is a claim."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["done", "question", "failed"]
    summary: str = ""
    question: str | None = None
    choices: list[str] = []
    files: list[str] = []


@dataclass(frozen=True)
class _Ended:
    """One run of the agent, after its end."""

    name: str
    status: RunStatus
    report: AgentReport
    offset: int


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
    ) -> None:
        self._supervisor = supervisor
        self._homes_dir = homes_dir
        self._workspaces_dir = workspaces_dir
        self._clis = {cli.kind: cli for cli in clis}
        self._users = users
        self._artifacts = artifacts
        self._path = path or os.environ.get("PATH", os.defpath)

    async def run_turn(self, request: TurnRequest, follow: Follow) -> TurnOutcome:
        """Start or adopt the turn and follow it to its end; never a second agent for the same turn.

        An agent that does not know its session any more is started once without it (`fresh_context`). Raises
        OrchestratorError, all permanent: AGENT_LOST when the supervision was killed (a repeat would pay twice),
        AGENT_FAILED after `timeout_s`, STOPPED_BY_PERSON for a turn that was stopped, INVALID_INPUT for an agent
        that is not set up. A failed agent is no error but an outcome `failed`.
        """
        ended = await self._run(request, follow, request.session_id, "", 0)
        fresh = _forgot(request, ended)
        if fresh:
            ended = await self._run(request, follow, None, _FRESH, ended.offset)
        transcript = await self._keep_transcript(request, ended.name)
        _raise_unless_ended(request, ended.status, transcript)
        claim = self._claim(request, ended.name)
        return _outcome(request, ended, claim, transcript, fresh)

    async def stop_turn(self, request: TurnRequest) -> None:
        """Stop the agent and all that it started; nothing of it is left when this returns."""
        name = turn_name(request.worker_id, request.turn)
        for one in (name, name + _FRESH):
            await self._supervisor.stop(one)

    async def _run(
        self, request: TurnRequest, follow: Follow, session_id: str | None, suffix: str, base: int
    ) -> _Ended:
        name = turn_name(request.worker_id, request.turn) + suffix
        reader = self._cli(request).reader()
        await self._supervisor.start(self._command(request, name, session_id))
        hidden = _secrets(request)
        follower = LineFollower(
            self._supervisor, follow, f"{request.worker_id}:{request.turn}", request.request_id, request.task_id
        )
        status, offset = await follower.follow(
            name, lambda line: [_redacted(text, hidden) for text in reader.feed(line)], base
        )
        if status.state == "lost":
            # What is left of a turn that nobody supervises must not go on changing the workspace.
            await self._supervisor.stop(name)
        return _Ended(name, status, reader.report, offset)

    def _command(self, request: TurnRequest, name: str, session_id: str | None) -> SupervisedCommand:
        cli, user = self._cli(request), self._users.for_owner(request.worker_id)
        home = self._home(request.worker_id)
        workspace = self._workspaces_dir / request.worker_id
        if self._supervisor.status(name).state == "absent":
            if not workspace.is_dir():
                raise OrchestratorError(
                    ErrorCode.NOT_FOUND, f"The workspace of {request.worker_id} is not on this machine."
                )
            _make_home(home, user)
        environment = {key: value for key, value in request.env_vars.items() if _allowed(key)}
        environment |= cli.environment(home, own_user=user is not None)
        environment |= {
            "PATH": self._path,
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(home / "tmp"),
            "ORCHESTRATOR_OUTCOME": str(home / _outcome_path(name)),
        }
        privileged = user is None and os.geteuid() == 0
        argv = cli.argv(request.message, session_id, privileged)
        return SupervisedCommand(name, argv, workspace, environment, request.timeout_s, user=user)

    def _cli(self, request: TurnRequest) -> AgentCli:
        cli = self._clis.get(request.agent)
        if cli is None:
            raise OrchestratorError(
                ErrorCode.INVALID_INPUT,
                f"The agent {request.agent.value} is not set up here. Set up: {', '.join(sorted(self._clis))}.",
            )
        return cli

    def _home(self, worker_id: str) -> Path:
        return self._homes_dir / worker_id

    def _claim(self, request: TurnRequest, name: str) -> ClaimedOutcome | None:
        """The outcome file, or None when there is no usable one."""
        content = read_inside(self._home(request.worker_id), _outcome_path(name), _MAX_OUTCOME_BYTES)
        if content is None:
            return None
        try:
            return ClaimedOutcome.model_validate_json(content)
        except ValidationError:
            return None

    async def _keep_transcript(self, request: TurnRequest, name: str) -> ArtifactRef:
        content, _ = self._supervisor.read_output(name, 0, 64 * 1024 * 1024)
        for secret in _secrets(request):
            content = content.replace(secret.encode(), b"[hidden]")
        return await self._artifacts.put(f"turn-{request.turn}.jsonl", content, "application/x-ndjson")


def _forgot(request: TurnRequest, ended: _Ended) -> bool:
    """Whether the agent ended only because it does not know the session."""
    failed = ended.status.state == "exited" and (ended.status.exit_code != 0 or ended.report.is_error)
    return request.session_id is not None and failed and ended.report.session_unknown and not ended.status.stopped


def _raise_unless_ended(request: TurnRequest, status: RunStatus, transcript: ArtifactRef) -> None:
    details = {"transcript": transcript.uri, "turn": request.turn}
    if status.state == "lost":
        raise OrchestratorError(
            ErrorCode.AGENT_LOST,
            "The agent's process was killed from outside in the middle of its turn. It is not started again by "
            "itself, so that nothing is paid twice; what it wrote is kept. Start the task again to go on.",
            details=details,
        )
    if status.stopped:
        raise OrchestratorError(ErrorCode.STOPPED_BY_PERSON, "The agent's turn was stopped.", details=details)
    if status.timed_out:
        raise OrchestratorError(
            ErrorCode.AGENT_FAILED,
            f"The agent did not finish within {request.timeout_s} s and was stopped. Its transcript is kept.",
            details=details,
        )


def _outcome(
    request: TurnRequest, ended: _Ended, claim: ClaimedOutcome | None, transcript: ArtifactRef, fresh: bool
) -> TurnOutcome:
    report, hidden = ended.report, _secrets(request)
    status, summary = _judged(ended, claim)
    question = claim.question if claim is not None and status == "question" else None
    choices = claim.choices if claim is not None and question else []
    return TurnOutcome(
        status=status,
        turn=request.turn,
        summary=_redacted(bounded(summary, _MAX_SUMMARY), hidden),
        question=_redacted(bounded(question, _MAX_SUMMARY), hidden) if question else None,
        choices=[_redacted(choice[:200], hidden) for choice in choices if choice.strip()][:_MAX_CHOICES],
        files_changed=[readable(name[:500]) for name in claim.files][:_MAX_FILES] if claim is not None else [],
        session_id=readable(report.session_id) if report.session_id else None,
        fresh_context=fresh,
        transcript=transcript,
        cost_usd=report.cost_usd,
        input_tokens=report.input_tokens,
        output_tokens=report.output_tokens,
    )


def _judged(ended: _Ended, claim: ClaimedOutcome | None) -> tuple[Literal["done", "question", "failed"], str]:
    """Exit code and result line outweigh the claim: a failed agent cannot claim to be done."""
    report, code = ended.report, ended.status.exit_code
    told = (claim.summary if claim is not None else "") or report.text
    if code != 0:
        return "failed", told or f"The agent ended with exit code {code}."
    if not report.finished:
        return "failed", told or "The agent ended without a result."
    if report.is_error or (claim is not None and claim.status == "failed"):
        return "failed", told or "The agent reported an error."
    if claim is not None and claim.status == "question" and (claim.question or "").strip():
        return "question", told
    return "done", told


def _make_home(home: Path, user: RunAs | None) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    # Only what is new is given away: what the agent made is its own already.
    for directory in (home, home / "tmp", home / "outcomes", home / ".claude"):
        if not os.path.lexists(directory):
            directory.mkdir(mode=0o700)
            give(directory, user)


def _outcome_path(name: str) -> str:
    return f"outcomes/{name}.json"


def _allowed(name: str) -> bool:
    return bool(_ENV_NAME.fullmatch(name)) and not _OURS.fullmatch(name)


def _secrets(request: TurnRequest) -> list[str]:
    return [value for key, value in request.env_vars.items() if _SECRET_NAME.search(key) and len(value) >= 8]


def _redacted(text: str, hidden: list[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, "[hidden]")
    return readable(text)
