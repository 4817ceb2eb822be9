"""The Tester as containers: the project's own checks, in a clean copy, without the agent and without a network.

The packages of a project come from a volume shared by all projects with the same requirements (`package_volumes`).
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from pydantic import ValidationError

from activities.adapters.containers.agent import AGENTS_NETWORK
from activities.adapters.containers.engine import Bind, ContainerSpec, Limits
from activities.adapters.containers.images import DockerImages
from activities.adapters.containers.package_volumes import KIND_LABEL, PackageVolumes
from activities.adapters.containers.project_image import image_of
from activities.adapters.containers.runs import (
    ContainerRuns,
    Contents,
    beating,
    pack,
)
from activities.adapters.forge.git import temporary_directory
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.follower import LineFollower
from activities.adapters.runs.states import RunStatus
from activities.adapters.verification.coverage import COVERAGE_FILE, MAX_COVERAGE
from activities.adapters.verification.phases import (
    MAX_REPORT,
    PHASE_FILE,
    REPORT_FILE,
    argv_of,
    pytest_options,
)
from activities.adapters.verification.steps import (
    MAX_LOG,
    Refused,
    check_out,
    judged,
    plain_requirements,
    refuse_without_makefile,
    shown_line,
    tests_lost,
    tests_stopped,
    verification_result,
)
from activities.ports import ArtifactStore, Follow, Forge
from contracts.ids import verification_name
from contracts.steps import VerificationRequest, VerificationResult

_PROJECT = "/project"
_VENV = "/venv"
_BESIDE = "/out"
_HOME = "/home/worker"
_PYTHON = "/usr/bin/python3"
_TASK_LABEL = "codegen-orchestrator.task"
_COMMIT_LABEL = "codegen-orchestrator.commit"


class _CutShort(Exception):
    """Tests ended with exit code 0 but their output is incomplete; or the end of failed tests was not seen."""


class DockerTester:
    """Implements `Tester`. One container per task and commit, `test-<task>-<commit>`, adopted by every repetition.

    A verdict is kept in `<state_dir>/<name>.json`; the container and its copy of the project are removed.
    """

    def __init__(
        self,
        runs: ContainerRuns,
        images: DockerImages,
        forge: Forge,
        state_dir: Path,
        artifacts: ArtifactStore,
        limits: Limits | None = None,
        network: str = AGENTS_NETWORK,
    ) -> None:
        self._runs = runs
        self._engine = runs.engine
        self._images = images
        self._forge = forge
        self._dir = state_dir
        self._artifacts = artifacts
        self._limits = limits or Limits()
        self._packages = PackageVolumes(runs, state_dir / ".locks", self._limits, network)

    async def verify(self, request: VerificationRequest, follow: Follow) -> VerificationResult:
        """Run or adopt `make setup check test` at the commit, and judge what it printed.

        A verdict `infrastructure` forgets the run, so that the next call tries again; any other verdict is the
        same for every later call. Raises OrchestratorError: TESTER_LOST (transient: tests may be repeated) when the
        container was killed or removed from outside, PROCESS_FAILED (transient) when packages cannot be had,
        DOCKER_UNREACHABLE (transient), STOPPED_BY_PERSON.
        """
        name = verification_name(request.task_id, request.commit)
        known = self._verdict(name)
        if known is not None:
            # Whoever wrote it may have been killed before the run was gone.
            await self._runs.remove(name)
            return known
        try:
            try:
                return await self._attempt(request, name, follow)
            except _CutShort:
                return await self._attempt(request, name, follow)
        except Refused as refused:
            return await verification_result(
                self._artifacts, request, refused.verdict, refused.verdict.evidence.encode(), None
            )

    async def _attempt(self, request: VerificationRequest, name: str, follow: Follow) -> VerificationResult:
        await beating(follow, self._begin(request, name, follow))
        return await self._follow(request, name, follow)

    async def stop(self, request: VerificationRequest) -> None:
        """Stop the tests and all that they started; none of it runs when this returns, and the copy is removed."""
        name = verification_name(request.task_id, request.commit)
        await self._packages.stop({_TASK_LABEL: request.task_id, _COMMIT_LABEL: request.commit})
        status = await self._runs.stop(name)
        if status.stopped:
            await self._engine.remove(name)
        else:
            # Never started, or ended by itself while it was not followed.
            await self._runs.remove(name)

    async def _follow(self, request: VerificationRequest, name: str, follow: Follow) -> VerificationResult:
        async with self._runs.output(name) as output:
            follower = LineFollower(
                output, follow, f"{request.task_id}:{request.commit[:12]}", request.task_id, request.task_id
            )
            status, _ = await follower.follow(name, shown_line)
            content, _ = output.read_output(name, 0, MAX_LOG)
        known = self._verdict(name)
        if known is not None:
            return known
        if status.stopped:
            raise tests_stopped()
        if status.state != "exited":
            await self._runs.remove(name)
            raise tests_lost()
        return await self._judged(request, name, status, content)

    async def _judged(
        self, request: VerificationRequest, name: str, status: RunStatus, content: bytes
    ) -> VerificationResult:
        output = content.replace(f"{_PROJECT}/".encode(), b"./").replace(f"{_VENV}/".encode(), b"venvs/")
        phase = await self._engine.read_file(name, f"{_BESIDE}/{PHASE_FILE}", 100)
        report = await self._engine.read_file(name, f"{_BESIDE}/{REPORT_FILE}", MAX_REPORT)
        coverage = await self._engine.read_file(name, f"{_PROJECT}/{COVERAGE_FILE}", MAX_COVERAGE)
        if await self._engine.inspect(name) is None:
            # Removed before all of it was read: by who has judged it, or by a prune.
            if (known := self._verdict(name)) is not None:
                return known
            await self._runs.remove(name)
            raise tests_lost()
        verdict = await judged(request, status, output, phase, report, coverage)
        incomplete = status.exit_code == 0 or status.unseen
        if incomplete and not verdict.passed and self._first_time(name, status):
            # Docker loses what a container prints while its daemon is down. If no test ran, none runs now either.
            await self._runs.remove(name)
            raise _CutShort
        result = await verification_result(self._artifacts, request, verdict, output, status)
        if verdict.failure_class != "infrastructure":
            self._path(name).write_text(result.model_dump_json())
        await self._runs.remove(name)
        return result

    async def _begin(self, request: VerificationRequest, name: str, follow: Follow) -> None:
        async with self._locked(name):
            if self._verdict(name) is not None or (await self._runs.status(name)).state != "absent":
                return
            async with temporary_directory(self._dir / ".drafts") as directory:
                project = await check_out(self._forge.mirror(request.repository), request.commit, directory)
                refuse_without_makefile(project)
                files = await asyncio.to_thread(plain_requirements, project)
                image = await image_of(project, self._images)
                venv = await self._packages.ready(image, files, _labels(request, "setup"), follow)
                archive = directory / "project.tar"
                await asyncio.to_thread(pack, project, archive)
                await self._runs.start(
                    self._spec(request, name, image, venv),
                    request.timeout_s,
                    Contents(lambda: self._engine.put_archive(name, _PROJECT, archive)),
                )

    def _spec(self, request: VerificationRequest, name: str, image: str, venv: str) -> ContainerSpec:
        environment = {
            "HOME": _HOME,
            "TMPDIR": "/tmp",
            "LANG": "C.UTF-8",
            "CI": "1",
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_ADDOPTS": pytest_options(_BESIDE),
        }
        return ContainerSpec(
            name,
            image,
            argv_of(_BESIDE, f"VENV={_VENV}", f"PYTHON={_PYTHON}"),
            environment=environment,
            working_dir=_PROJECT,
            binds=(Bind(venv, _VENV, read_only=True),),
            labels=_labels(request, "tests"),
            limits=self._limits,
        )

    def _verdict(self, name: str) -> VerificationResult | None:
        try:
            return VerificationResult.model_validate_json(self._path(name).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def _first_time(self, name: str, status: RunStatus) -> bool:
        """Whether this is the first run whose output was incomplete. Recorded, so that there is only one."""
        file, run = self._dir / f"{name}.cut-short", str(status.started_at)
        if not file.exists():
            draft = file.with_suffix(".draft")
            draft.write_text(run)
            draft.replace(file)
        return file.read_text() == run

    def _path(self, name: str) -> Path:
        return self._dir / f"{name}.json"

    def _locked(self, name: str) -> AbstractAsyncContextManager[object]:
        return file_lock(self._dir / ".locks" / f"{name}.lock")


def _labels(request: VerificationRequest, kind: str) -> dict[str, str]:
    return {
        KIND_LABEL: kind,
        _TASK_LABEL: request.task_id,
        _COMMIT_LABEL: request.commit,
        "codegen-orchestrator.project": request.project_id,
    }
