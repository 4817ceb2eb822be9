"""The steps of a verification that are the same wherever the tests run."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

from activities.adapters.forge.git import Git
from activities.adapters.packages.registry_access import registry_trouble
from activities.adapters.packages.requirements_check import UnsafeRequirement, plain_lines, requirement_files
from activities.adapters.runs.states import RunStatus
from activities.adapters.verification.phases import Beside
from activities.adapters.verification.report import CheckedOutput, code_failure, judge
from activities.ports import ArtifactStore, Follow, Mirror
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded
from contracts.progress import FineEvent
from contracts.steps import VerificationRequest, VerificationResult

SETUP_TIMEOUT_S = 1500
MAX_LOG = 32 * 1024 * 1024
_SHOWN = ("FAILED ", "ERROR ", "make: ***", "make[")


class Refused(Exception):
    """The project cannot be tested as it is; the Developer can repair it."""

    def __init__(self, verdict: CheckedOutput) -> None:
        super().__init__(verdict.evidence)
        self.verdict = verdict


async def check_out(mirror: Mirror, commit: str, directory: Path) -> Path:
    """Exactly the commit's files, without a repository, in a new folder of `directory`.

    Raises OrchestratorError COMMIT_NOT_ON_REMOTE when the forge does not have the commit.
    """
    try:
        await mirror.fetch(commit)
    except OrchestratorError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        reason = f"The forge does not have the commit {commit[:12]}."
        raise OrchestratorError(ErrorCode.COMMIT_NOT_ON_REMOTE, reason) from error
    draft = directory / "project"
    await Git(directory).run(
        "clone", "--quiet", "--shared", "--no-checkout", "--template=", "--", str(mirror.directory), str(draft)
    )
    await Git(draft).run("checkout", "--quiet", "--detach", commit, "--")
    await asyncio.to_thread(shutil.rmtree, draft / ".git")
    return draft


def refuse_without_makefile(project: Path) -> None:
    if not (project / "Makefile").is_file():
        raise Refused(code_failure("There is no Makefile with the targets setup, check and test."))


def plain_requirements(project: Path) -> list[Path]:
    """The requirement files of a project; a line that is more than a name with versions is refused."""
    files = requirement_files(project)
    for file in files:
        try:
            plain_lines(file)
        except UnsafeRequirement as unsafe:
            reason = f"{file.name} may contain only package names with versions. Change this: {unsafe}"
            raise Refused(code_failure(reason)) from None
    return files


async def judged(
    request: VerificationRequest,
    status: RunStatus,
    output: bytes,
    phase: bytes | None,
    report: bytes | None,
    coverage: bytes | None,
) -> CheckedOutput:
    """The verdict on an ended run and what it left beside its output. In a thread: all may be large."""

    def verdict() -> CheckedOutput:
        text, beside = output.decode(errors="replace"), Beside.of(phase, report, coverage)
        found = judge(text, status.exit_code, beside, timed_out=status.timed_out, timeout_s=request.timeout_s)
        return replace(found, figures=beside.figures)

    return await asyncio.to_thread(verdict)


async def verification_result(
    artifacts: ArtifactStore,
    request: VerificationRequest,
    verdict: CheckedOutput,
    output: bytes,
    status: RunStatus | None,
) -> VerificationResult:
    report = await artifacts.put(f"tests-{request.commit[:12]}.log", output)
    return VerificationResult(
        commit=request.commit,
        passed=verdict.passed,
        exit_code=None if status is None else status.exit_code,
        failure_class=verdict.failure_class,
        fingerprint=verdict.fingerprint,
        evidence=verdict.evidence,
        report=report,
        figures=verdict.figures,
        duration_ms=_duration_ms(status),
    )


def beats_only(follow: Follow) -> Follow:
    """Heartbeats while packages are installed; offsets belong to the tests' output."""

    async def report(_: list[FineEvent], __: int) -> None:
        await follow.report([], follow.offset)

    return Follow(0, report)


def setup_failure(status: RunStatus, output: str) -> Exception:
    gone = status.state == "lost" or status.unseen or status.timed_out or (status.exit_code or 0) < 0
    if gone or registry_trouble(output):
        return OrchestratorError(
            ErrorCode.PROCESS_FAILED,
            f"The project's packages could not be installed on this machine: {bounded(output.strip(), 1000)}",
            error_class=ErrorClass.TRANSIENT,
        )
    return Refused(code_failure("The packages in the requirement files cannot be installed.", output))


def shown_line(line: bytes) -> list[str]:
    text = line.decode(errors="replace")
    summary = text.startswith("=") and (" passed" in text or " failed" in text or " error" in text)
    return [bounded(text, 500)] if summary or text.startswith(_SHOWN) else []


def tests_lost() -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.TESTER_LOST,
        "The tests were killed from outside; they will be started again.",
        error_class=ErrorClass.TRANSIENT,
    )


def tests_stopped() -> OrchestratorError:
    return OrchestratorError(ErrorCode.STOPPED_BY_PERSON, "The tests were stopped.")


def _duration_ms(status: RunStatus | None) -> int:
    if status is None or status.started_at is None or status.finished_at is None:
        return 0
    return round((status.finished_at - status.started_at).total_seconds() * 1000)
