"""The Tester as supervised processes of this machine: the project's own checks, in a clean copy, without the agent.

The packages of a project come from an environment shared by all projects with the same requirements. The platform
builds it (wheels only, plain names only), and the tests run as another user that cannot write to it. Where the
platform cannot drop to another user, a hostile test could change the shared environment: that is the limit of the
`process` runtime.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from activities.adapters.forge.git import temporary_directory
from activities.adapters.packages.requirements_check import FILES
from activities.adapters.process.package_caches import PackageCaches
from activities.adapters.runs.contained_files import read_inside
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.follower import LineFollower
from activities.adapters.runs.states import RunAs, RunStatus
from activities.adapters.runs.supervisor import BEHIND_THE_PLATFORM, SupervisedCommand, Supervisor
from activities.adapters.runs.trees import remove_tree
from activities.adapters.runs.unprivileged import give
from activities.adapters.runs.users import UnprivilegedUsers
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
from contracts.errors import ErrorCode, OrchestratorError
from contracts.ids import verification_name
from contracts.steps import VerificationRequest, VerificationResult

_SETUP = "-setup"
_KEPT = (
    (f"beside/{PHASE_FILE}", 100),
    (f"beside/{REPORT_FILE}", MAX_REPORT),
    (f"project/{COVERAGE_FILE}", MAX_COVERAGE),
)
"""What is kept of an ended run, in its place: path and the most bytes."""


@dataclass(frozen=True)
class _Place:
    """The directories of one verification."""

    root: Path

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def beside(self) -> Path:
        """For what the checks leave beside their output."""
        return self.root / "beside"


class ProcessTester:
    """Implements `Tester`. One run per task and commit, `test-<task>-<commit>`, adopted by every repetition."""

    def __init__(
        self,
        supervisor: Supervisor,
        forge: Forge,
        work_dir: Path,
        caches_dir: Path,
        users: UnprivilegedUsers,
        artifacts: ArtifactStore,
        python: str = sys.executable,
    ) -> None:
        self._supervisor = supervisor
        self._forge = forge
        self._work_dir = work_dir
        self._reports = work_dir / ".reports"
        self._packages = PackageCaches(supervisor, caches_dir, python)
        self._users = users
        self._artifacts = artifacts
        self._python = python

    async def verify(self, request: VerificationRequest, follow: Follow) -> VerificationResult:
        """Run or adopt `make setup check test` at the commit, and judge what it printed.

        A verdict `infrastructure` forgets the run, so that the next call tries again; any other verdict is the
        same for every later call. Raises OrchestratorError: TESTER_LOST (transient: tests may be repeated) when the
        run's supervisor was killed, PROCESS_FAILED (transient) when packages cannot be had, STOPPED_BY_PERSON.
        """
        name = verification_name(request.task_id, request.commit)
        try:
            if self._supervisor.status(name).state == "absent":
                await self._begin(request, name, follow)
        except Refused as refused:
            await self._clear(name)
            return await verification_result(
                self._artifacts, request, refused.verdict, refused.verdict.evidence.encode(), None
            )
        follower = LineFollower(
            self._supervisor, follow, f"{request.task_id}:{request.commit[:12]}", request.task_id, request.task_id
        )
        status, _ = await follower.follow(name, shown_line)
        phase, report, coverage = await asyncio.to_thread(self._kept, name)
        await self._clear(name)
        self._raise_unless_ended(name, status)
        output, _ = self._supervisor.read_output(name, 0, MAX_LOG)
        for path, shown in (
            (self._place(name).project, b"."),
            (self._packages.directory, b"venvs"),
            (self._work_dir, b""),
        ):
            output = output.replace(str(path).encode(), shown)
        verdict = await judged(request, status, output, phase, report, coverage)
        if verdict.failure_class == "infrastructure":
            self._forget(name)
        return await verification_result(self._artifacts, request, verdict, output, status)

    async def stop(self, request: VerificationRequest) -> None:
        """Stop the tests and all that they started; none of it runs when this returns."""
        name = verification_name(request.task_id, request.commit)
        for one in (name + _SETUP, name):
            await self._supervisor.stop(one)
        await self._clear(name)

    async def _begin(self, request: VerificationRequest, name: str, follow: Follow) -> None:
        place, user = self._place(name), self._users.for_owner(f"tester-{request.project_id}")
        if shutil.which("make") is None:
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED, "The program `make` is missing; install it (apt install make)."
            )
        async with self._locked(name):
            if self._supervisor.status(name).state != "absent":
                return
            await self._check_out(request, place)
            venv = await self._environment(name, place, follow)
            await asyncio.to_thread(give, place.root, user)
            await self._supervisor.start(self._command(request, name, place, venv, user))

    def _command(
        self, request: VerificationRequest, name: str, place: _Place, venv: Path, user: RunAs | None
    ) -> SupervisedCommand:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(place.home),
            "TMPDIR": str(place.home),
            "LANG": "C.UTF-8",
            "CI": "1",
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_ADDOPTS": pytest_options(str(place.beside)),
        }
        argv = argv_of(str(place.beside), f"VENV={venv}", f"PYTHON={self._python}")
        return SupervisedCommand(
            name, argv, place.project, environment, request.timeout_s, user=user, niceness=BEHIND_THE_PLATFORM
        )

    async def _check_out(self, request: VerificationRequest, place: _Place) -> None:
        """Exactly the commit's files, from the forge; whatever an earlier attempt left is replaced."""
        async with temporary_directory(self._work_dir / ".drafts") as directory:
            draft = await check_out(self._forge.mirror(request.repository), request.commit, directory)
            await asyncio.to_thread(remove_tree, place.root)
            place.root.mkdir(mode=0o700, parents=True)
            place.home.mkdir()
            place.beside.mkdir()
            os.rename(draft, place.project)
        refuse_without_makefile(place.project)

    async def _environment(self, name: str, place: _Place, follow: Follow) -> Path:
        """The shared environment with the project's packages, built once for all that want the same."""
        files = await asyncio.to_thread(plain_requirements, place.project)
        venv = await self._packages.ready(name + _SETUP, files, self._work_dir, follow)
        await _stamp(venv, place.project)
        return venv

    def _raise_unless_ended(self, name: str, status: RunStatus) -> None:
        if status.state == "lost":
            self._forget(name)
            raise tests_lost()
        if status.stopped:
            raise tests_stopped()

    def _kept(self, name: str) -> list[bytes | None]:
        """Phase, report and coverage of an ended run. They outlive its copy of the project: later calls judge alike."""
        found: list[bytes | None] = []
        for file, limit in _KEPT:
            kept = self._kept_file(name, file)
            content = read_inside(self._place(name).root, file, limit)
            if content is not None:
                kept.parent.mkdir(mode=0o700, exist_ok=True)
                draft = kept.with_name(f".{kept.name}.{uuid4().hex}")
                draft.write_bytes(content)
                draft.replace(kept)
            found.append(kept.read_bytes() if kept.exists() else None)
        return found

    def _forget(self, name: str) -> None:
        """Forget the run, so that the next call starts another."""
        self._supervisor.remove(name)
        for file, _ in _KEPT:
            self._kept_file(name, file).unlink(missing_ok=True)

    def _kept_file(self, name: str, file: str) -> Path:
        return self._reports / f"{name}-{Path(file).name}"

    async def _clear(self, name: str) -> None:
        """Remove the copy; the run's record stays. A lost run's orphans go first: they still write there."""
        if self._supervisor.status(name).state == "lost":
            await self._supervisor.stop(name)
        await asyncio.to_thread(remove_tree, self._place(name).root)

    def _place(self, name: str) -> _Place:
        return _Place(self._work_dir / name)

    def _locked(self, name: str) -> AbstractAsyncContextManager[object]:
        return file_lock(self._work_dir / ".locks" / f"{name}.lock")


async def _stamp(venv: Path, project: Path) -> None:
    """Tell the project's Makefile that its environment is ready: it names the stamp after a checksum."""
    content = b"".join((project / name).read_bytes() for name in FILES if (project / name).is_file())
    process = await asyncio.create_subprocess_exec(
        "cksum", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(content)
    (venv / f".ready-{output.decode().split()[0]}").touch()
