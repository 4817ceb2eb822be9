"""Judges a turn of an agent, wherever it ran, by its outcome file, its stream and its exit code."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from activities.adapters.agents.base import AgentReport, StreamReader
from activities.adapters.runs.follower import like, readable
from activities.adapters.runs.states import RunStatus
from contracts import redaction
from contracts.agent_workers import TurnOutcome
from contracts.artifacts import ArtifactRef
from contracts.criteria import MAX_CRITERIA, Criterion
from contracts.errors import ErrorCode, OrchestratorError, bounded, bounded_list
from contracts.models import ModelLimit
from contracts.states import AgentKind, CriterionState
from contracts.steps import TurnRequest
from contracts.worker_steps import TurnControl

MAX_OUTCOME_BYTES = 256 * 1024
_MAX_SUMMARY = 20_000
_HIDDEN = "[hidden]"
_MAX_DOCUMENT = 200_000
_TOKEN = re.compile(r"omt-[A-Za-z0-9_-]{8,}")
"""The token of a turn, by its form: not everybody who reads what it left knows it. Half of one is one, too."""
_MAX_CHOICES = 10
_MAX_SENTENCE, _MAX_WORDS = 200, 500
FRESH = "-fresh"
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_OURS = re.compile(
    r"PATH|HOME|LANG|SHELL|TMPDIR|LD_.*|PYTHON.*|GIT_.*|CLAUDE_CONFIG_DIR|ORCHESTRATOR_(OUTCOME|PROFILE|RUN)"
)
"""Variables that a request may not set: they decide what runs and where it writes."""
SECRET_NAME = re.compile(r"TOKEN|KEY|SECRET|PASSWORD", re.IGNORECASE)


class ClaimedOutcome(BaseModel):
    """The file that an agent leaves behind; every word of it is a claim."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["done", "question", "failed"]
    summary: str = ""
    question: str | None = None
    choices: list[str] = []
    files: list[str] = []
    criteria: list[JsonValue] = []
    document: JsonValue = None


@dataclass(frozen=True)
class EndedTurn:
    """One run of the agent, after its end."""

    name: str
    status: RunStatus
    report: AgentReport
    offset: int


def prompt_of(request: TurnRequest) -> str:
    """What the agent is told: an argument of a program cannot hold a NUL."""
    return request.message.replace("\0", "")


def variables_of(request: TurnRequest) -> dict[str, str]:
    """The variables that the request may set."""
    return {name: value.replace("\0", "") for name, value in request.env_vars.items() if allowed_variable(name)}


def parsed_claim(content: bytes | None) -> ClaimedOutcome | None:
    """The outcome file's content as a claim, or None when it is not usable."""
    if content is None:
        return None
    try:
        return ClaimedOutcome.model_validate_json(content)
    except ValidationError:
        return None


def shared_transcript(request: TurnRequest, content: bytes, token: str | None = None) -> bytes:
    """The whole output of a turn without the values of its secret variables, and its token."""
    secrets = [*secrets_of(request), *([token] if token else [])]
    # The agent may have written anything; what is not text stays as it is.
    text = content.decode("utf-8", "surrogateescape")
    return _hidden(text, secrets).encode("utf-8", "surrogateescape")


def shown_of(request: TurnRequest, reader: StreamReader, line: bytes, token: str | None = None) -> list[str]:
    """What people see of a line. Redacted before the reader cuts anything, and after it has undone the quoting."""
    hidden = [*secrets_of(request), *([token] if token else [])]
    return [redacted(text, hidden) for text in reader.feed(shared_transcript(request, line, token))]


def said_by_stopped(request: TurnRequest, reader: StreamReader, content: bytes) -> tuple[str | None, bytes]:
    """The session of a turn that came to no end of its own, and its output as it may be kept."""
    kept = shared_transcript(request, content)
    for line in kept.splitlines():
        reader.feed(line)
    session_id = reader.report.session_id
    return readable(session_id) if session_id else None, kept


def unknown_agent(kind: AgentKind, known: list[str]) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.INVALID_INPUT,
        f"The agent {kind.value} is not available here. Available: {', '.join(sorted(known))}.",
    )


def refused_outcome(request: TurnRequest, limit: ModelLimit) -> TurnOutcome:
    """Of a turn that was not started, because nothing may be spent for it now."""
    return TurnOutcome(
        status="failed", turn=request.turn, summary=limit.message, session_id=request.session_id, limit=limit,
        agent=request.agent,
    )  # fmt: skip


def facts_of(request: TurnRequest, report: AgentReport) -> dict[str, str | float]:
    """What a heartbeat shows of a running turn."""
    session = {"session": redacted(report.session_id, secrets_of(request))} if report.session_id else {}
    cost = {"cost_usd": report.cost_usd} if report.cost_usd is not None else {}
    return {**session, **cost}


def forgot(request: TurnRequest, ended: EndedTurn) -> bool:
    """Whether the agent ended only because it does not know the session."""
    failed = ended.status.state == "exited" and (ended.status.exit_code != 0 or ended.report.is_error)
    return request.session_id is not None and failed and ended.report.session_unknown and not ended.status.stopped


def raise_unless_ended(request: TurnRequest, status: RunStatus, transcript: ArtifactRef) -> None:
    details = {"transcript": transcript.uri, "turn": request.turn}
    if status.state == "lost":
        raise OrchestratorError(
            ErrorCode.AGENT_LOST,
            "The agent's process was killed from outside in the middle of its turn. It is not restarted "
            "automatically, so that you do not pay twice; what it wrote is kept. Start the task again to continue.",
            details=details,
        )
    if status.stopped:
        raise OrchestratorError(ErrorCode.STOPPED_BY_PERSON, "The agent's turn was stopped.", details=details)
    if status.timed_out:
        raise OrchestratorError(
            ErrorCode.AGENT_FAILED,
            f"The agent did not finish within {request.timeout_s} s and was stopped. `orchestrator task logs` shows "
            "its transcript; the setting `turn_timeout_s` allows more time.",
            details=details,
        )


def outcome_of(
    request: TurnRequest, ended: EndedTurn, claim: ClaimedOutcome | None, transcript: ArtifactRef, fresh: bool
) -> TurnOutcome:
    report, hidden = ended.report, secrets_of(request)
    status, summary = _judged(ended, claim)
    question = claim.question if claim is not None and status == "question" else None
    choices = claim.choices if claim is not None and question else []
    return TurnOutcome(
        status=status,
        turn=request.turn,
        summary=bounded(redacted(summary, hidden), _MAX_SUMMARY),
        question=bounded(redacted(question, hidden), _MAX_SUMMARY) if question else None,
        choices=[said[:200] for choice in choices if (said := redacted(choice, hidden)).strip()][:_MAX_CHOICES],
        files_changed=bounded_list(redacted(name, hidden)[:500] for name in claim.files) if claim is not None else [],
        session_id=redacted(report.session_id, hidden) if report.session_id else None,
        fresh_context=fresh,
        transcript=transcript,
        cost_usd=report.cost_usd,
        input_tokens=report.input_tokens,
        output_tokens=report.output_tokens,
        criteria=_criteria(claim, hidden) if claim is not None and status == "done" else [],
        agent=request.agent,
        document=_document(claim, hidden) if claim is not None and status == "done" else "",
    )


def _document(claim: ClaimedOutcome, hidden: list[str]) -> str:
    """Whole or not at all: a part of it would be another document."""
    text = "" if claim.document is None else redacted(json.dumps(claim.document, ensure_ascii=False), hidden)
    return text if len(text) <= _MAX_DOCUMENT else ""


def _criteria(claim: ClaimedOutcome, hidden: list[str]) -> list[Criterion]:
    """What the agent says of the clauses of the wish. It may say that it left something out, but it proves nothing."""
    found: dict[str, Criterion] = {}
    for number, said in enumerate(claim.criteria[:MAX_CRITERIA], start=1):
        # Readable first: one of control characters only has no words.
        sentence = redacted(str(said.get("sentence") or ""), hidden) if isinstance(said, dict) else ""
        if not isinstance(said, dict) or not sentence.strip():
            continue
        left_out = said.get("state") == CriterionState.NOT_MET.value
        found[f"w{number}"] = Criterion(
            id=f"w{number}",
            sentence=bounded(sentence, _MAX_SENTENCE),
            words=bounded(redacted(str(said.get("words") or ""), hidden), _MAX_WORDS),
            state=CriterionState.NOT_MET if left_out else CriterionState.OPEN,
        )
    return list(found.values())


def _judged(ended: EndedTurn, claim: ClaimedOutcome | None) -> tuple[Literal["done", "question", "failed"], str]:
    """Exit code and result line outweigh the claim: a failed agent cannot claim to be done.

    Where the agent ended well and only the line is missing, in either runtime, the claim counts: Docker loses what a
    container prints while its daemon is down, and what is claimed to be done is verified anyway.
    """
    report, code = ended.report, ended.status.exit_code
    told = (claim.summary if claim is not None else "") or report.text
    if report.stopped:
        return "failed", f"The turn was stopped. {told}".strip()
    if code != 0:
        said = report.text if report.failure is not None else told
        return "failed", said or f"The agent ended with exit code {code}."
    if not report.finished and claim is None:
        return "failed", told or "The agent ended without a result."
    if claim is None and not report.did_anything:
        return "failed", "The agent ended at once, and has neither said nor done anything."
    if report.is_error or (claim is not None and claim.status == "failed"):
        return "failed", told or "The agent reported an error."
    if claim is not None and claim.status == "question" and readable(claim.question or "").strip():
        return "question", told
    return "done", told


def outcome_path(name: str) -> str:
    return f"outcomes/{name}.json"


def control_path(name: str, control: TurnControl) -> str:
    """Where the wrapper of the agent in the run `name` looks for it, below the agent's home."""
    return f"control/{name}/{control.number:03}.json"


def control_file(control: TurnControl) -> bytes:
    said = {"kind": control.kind} | ({"text": control.text.replace("\0", "")} if control.kind == "steer" else {})
    return json.dumps(said).encode()


def allowed_variable(name: str) -> bool:
    return bool(_ENV_NAME.fullmatch(name)) and not _OURS.fullmatch(name)


def secrets_of(request: TurnRequest) -> list[str]:
    return [value for key, value in request.env_vars.items() if SECRET_NAME.search(key) and len(value) >= 8]


def redacted(text: str, hidden: list[str]) -> str:
    return like(readable(_hidden(text, hidden)), text)


def _hidden(text: str, secrets: list[str]) -> str:
    return _TOKEN.sub(_HIDDEN, redaction.redacted(text, secrets, _HIDDEN))
