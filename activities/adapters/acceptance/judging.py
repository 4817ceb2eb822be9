"""What the checks have shown: criteria with their proof, evidence for the Developer, artifacts.

Everything in a result comes from the services, so it is cleaned, redacted and cut here.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from activities.adapters.runs.follower import readable
from activities.ports import ArtifactStore
from contracts.acceptance import MAX_SCREENSHOTS, AcceptanceRequest, AcceptanceResult, CheckResult, Screenshot
from contracts.artifacts import ArtifactRef
from contracts.criteria import Criterion, Proof
from contracts.errors import bounded, end_of
from contracts.redaction import redacted
from contracts.states import CriterionState

MAX_RESULT = 4 * 1024 * 1024
_DETAIL = 1_000
_ANSWER = 600
_LOG_TAIL = 1_500
_EVIDENCE = 8_000
_REFERENCE_OF_NOTHING = "acceptance"
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Seen:
    """What a run has left. `start`: why the services did not start; `log`: what they printed."""

    checks: list[dict[str, Any]] = field(default_factory=list)
    start: Mapping[str, Any] | None = None
    log: str = ""
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    duration_ms: int = 0


def never_started(key: str, text: str, log: str = "") -> Seen:
    """The services do not run, so nothing of the wish is there."""
    return Seen(start={"key": key, "text": text}, log=log)


async def judged(request: AcceptanceRequest, seen: Seen, artifacts: ArtifactStore) -> AcceptanceResult:
    """The result; its report and pictures are in the store."""
    results = _results(request, seen)
    report = await artifacts.put(f"acceptance-{request.commit[:12]}.json", _report(request, results, seen), _JSON)
    screenshots = await _kept(results, seen.pictures, artifacts)
    criteria = [_criterion(one, request, results, report, screenshots) for one in request.criteria]
    missed = [one for one in results if one.state is CriterionState.NOT_MET]
    return AcceptanceResult(
        commit=request.commit,
        criteria=criteria,
        checks=results,
        evidence=_evidence(criteria, missed, seen) if missed else "",
        fingerprint=_fingerprint(missed, seen) if missed else None,
        report=report,
        screenshots=screenshots,
        duration_ms=seen.duration_ms,
    )


_JSON = "application/json"


def _results(request: AcceptanceRequest, seen: Seen) -> list[CheckResult]:
    """Of each check that was asked for, in that order, whatever the run has left."""
    known = {str(one.get("id")): one for one in seen.checks}
    results = []
    for check in request.checks:
        found = known.get(check.id)
        if seen.start is not None:
            found = {"state": "not_met", "detail": seen.start["text"], "step": None}
        elif found is None:
            found = {"state": "not_checkable", "detail": "the check was not run"}
        results.append(
            CheckResult(
                check_id=check.id,
                criterion_id=check.criterion_id,
                title=check.title,
                state=CriterionState(found["state"]),
                step=found.get("step"),
                detail=_clean(found.get("detail", ""), seen, _DETAIL),
                screenshots=[str(one) for one in found.get("screenshots", [])][:MAX_SCREENSHOTS],
                duration_ms=int(found.get("duration_ms", 0)),
            )
        )
    return results


def _criterion(
    criterion: Criterion,
    request: AcceptanceRequest,
    results: list[CheckResult],
    report: ArtifactRef,
    screenshots: list[Screenshot],
) -> Criterion:
    """Met when every check shows it, not met when one does not."""
    own = [one for one in results if one.criterion_id == criterion.id]
    if not own:
        why = request.not_checkable.get(criterion.id) or "There is no check for it."
        proof = Proof(reference=_REFERENCE_OF_NOTHING, text=bounded(why, _DETAIL))
        return criterion.model_copy(update={"state": CriterionState.NOT_CHECKABLE, "proof": proof})
    states = [one.state for one in own]
    order = (CriterionState.NOT_MET, CriterionState.NOT_CHECKABLE, CriterionState.MET)
    state = next(one for one in order if one in states)
    decisive = next(one for one in own if one.state is state)
    picture = next((one for one in screenshots if one.criterion_id == criterion.id), None)
    reference = picture.artifact.uri if picture else f"{report.uri}#{decisive.check_id}"
    text = decisive.title if state is CriterionState.MET else f"{decisive.title}: {_step(decisive)}{decisive.detail}"
    proof = Proof(reference=reference, text=bounded(text, _DETAIL))
    return criterion.model_copy(update={"state": state, "proof": proof})


def _step(result: CheckResult) -> str:
    return f"step {result.step}: " if result.step else ""


async def _kept(
    results: list[CheckResult], pictures: Mapping[str, bytes], artifacts: ArtifactStore
) -> list[Screenshot]:
    """Only what is a picture: the name says so to whoever shows it."""
    kept: list[Screenshot] = []
    for result in results:
        for name in result.screenshots:
            content = pictures.get(name, b"")
            if content.startswith(_PNG) and len(kept) < MAX_SCREENSHOTS:
                artifact = await artifacts.put(name, content, "image/png")
                ids = {"check_id": result.check_id, "criterion_id": result.criterion_id}
                kept.append(Screenshot(name=name, artifact=artifact, **ids))
    return kept


def _evidence(criteria: list[Criterion], missed: list[CheckResult], seen: Seen) -> str:
    """For whoever mends it: what was missed, with the last request and answer of each, and what the services said."""
    of = {one.id: one for one in criteria}
    count = sum(one.state is CriterionState.NOT_MET for one in criteria)
    parts = [f"The service was started and checked against the wish: {count} of {len(criteria)} criteria are not met."]
    if seen.start is not None:
        parts = [f"The service could not be checked, because it does not run: {seen.start['text']}"]
    else:
        steps = {str(one.get("id")): one.get("steps", []) for one in seen.checks}
        parts += [_missed(of[one.criterion_id], one, steps.get(one.check_id, [])) for one in missed]
    told = _clean("\n\n".join(parts), seen, _EVIDENCE - _LOG_TAIL - 200)
    log = _clean(end_of(seen.log.strip(), _LOG_TAIL), seen, _LOG_TAIL)
    return f"{told}\n\nThe end of what the services printed:\n{log}" if log else told


def _missed(criterion: Criterion, result: CheckResult, steps: list[dict[str, Any]]) -> str:
    words = f" (from the wish: {criterion.words!r})" if criterion.words else ""
    lines = [
        f"Not met: {criterion.id} {criterion.sentence!r}{words}",
        f"Check {result.check_id} {result.title!r}, {_step(result)}{result.detail}",
    ]
    if steps:
        last = steps[-1]
        lines.append(f"  did: {last.get('request')} {bounded(str(last.get('sent', '')), _ANSWER)}".rstrip())
        lines.append(f"  saw: {last.get('status', '')} {bounded(str(last.get('answer', '')), _ANSWER)}".rstrip())
    return "\n".join(lines)


def _fingerprint(missed: Iterable[CheckResult], seen: Seen) -> str:
    """The same for the same misses, whatever was made up for the run."""
    keys = {str(one.get("id")): one.get("keys", []) for one in seen.checks}
    what: list[object] = [[one.check_id, one.step, keys.get(one.check_id, [])] for one in missed]
    if seen.start is not None:
        what = [seen.start["key"]]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def _report(request: AcceptanceRequest, results: list[CheckResult], seen: Seen) -> bytes:
    steps = {str(one.get("id")): one.get("steps", []) for one in seen.checks}
    report = {
        "commit": request.commit,
        "start": None if seen.start is None else seen.start["text"],
        "checks": [{**result.model_dump(mode="json"), "steps": steps.get(result.check_id, [])} for result in results],
        "log": end_of(seen.log, 20_000),
    }
    return redacted(json.dumps(report, ensure_ascii=False, indent=1), seen.secrets).encode(errors="replace")


def _clean(text: object, seen: Seen, most: int) -> str:
    """Redacted before it is cut."""
    return bounded(redacted(readable(str(text)), seen.secrets), most)
