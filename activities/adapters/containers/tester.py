"""The Tester as containers: the project's own checks, in a clean copy, without the agent and without a network.

The packages of a project come from a volume shared by all projects with the same requirements. A container of its
own builds it, with the network and nothing but the requirement files (wheels only, plain names only); the tests
cannot write to it.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from pydantic import ValidationError

from activities.adapters.containers.agent import AGENTS_NETWORK
from activities.adapters.containers.engine import Bind, ContainerSpec, Limits
from activities.adapters.containers.images import DockerImages
from activities.adapters.containers.installer_access import installer_access
from activities.adapters.containers.runs import (
    ContainerRuns,
    Contents,
    RunOutput,
    archive_of,
    beating,
    pack,
)
from activities.adapters.forge.git import temporary_directory
from activities.adapters.packages.environment_file import files_of, read_environment
from activities.adapters.packages.pip_settings import secrets_in
from activities.adapters.packages.requirements_check import plain_lines
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.follower import LineFollower
from activities.adapters.runs.states import RunStatus
from activities.adapters.verification.phases import (
    MAX_REPORT,
    PHASE_FILE,
    REPORT_FILE,
    argv_of,
    pytest_options,
)
from activities.adapters.verification.report import code_failure
from activities.adapters.verification.steps import (
    MAX_LOG,
    SETUP_TIMEOUT_S,
    Refused,
    beats_only,
    check_out,
    judged,
    plain_requirements,
    refuse_without_makefile,
    setup_failure,
    shown_line,
    tests_lost,
    tests_stopped,
    verification_result,
)
from activities.ports import ArtifactStore, Follow, Forge
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.ids import verification_name
from contracts.redaction import redacted
from contracts.steps import VerificationRequest, VerificationResult

_PROJECT = "/project"
_VENV = "/venv"
_BESIDE = "/out"
_HOME = "/home/worker"
_PYTHON = "/usr/bin/python3"
_TASK_LABEL = "codegen-orchestrator.task"
_COMMIT_LABEL = "codegen-orchestrator.commit"
_KIND_LABEL = "codegen-orchestrator.kind"
# The plain files are made by us of the project's own, which give the stamp its name.
_BUILD = """
python3 -m venv --without-pip /venv
set --
for file in plain-requirements.txt plain-requirements-dev.txt; do
  if [ -s "$file" ]; then set -- "$@" -r "$file"; fi
done
if [ $# -gt 0 ]; then
  if grep -q -e --hash= plain-*.txt; then export UV_CONSTRAINT=; set -- "$@" --require-hashes; fi
  uv pip install --quiet --no-config --cache-dir /venv/.uv --link-mode hardlink --compile-bytecode \\
    --python /venv/bin/python --only-binary :all: "$@"
  rm -rf /venv/.uv "$HOME/.installer"
fi
touch "/venv/.ready-$(cat requirements.txt requirements-dev.txt 2>/dev/null | cksum | cut -d' ' -f1)"
"""


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
        self._network = network

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
        labels = {_TASK_LABEL: request.task_id, _COMMIT_LABEL: request.commit, _KIND_LABEL: "setup"}
        for one in self._runs.names(labels):
            await self._runs.stop(one)
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
        if await self._engine.inspect(name) is None:
            # Removed before all of it was read: by who has judged it, or by a prune.
            if (known := self._verdict(name)) is not None:
                return known
            await self._runs.remove(name)
            raise tests_lost()
        verdict = await judged(request, status, output, phase, report)
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
                project = await check_out(self._forge.mirror(request.repository), request, directory)
                refuse_without_makefile(project)
                files = await asyncio.to_thread(plain_requirements, project)
                image = await self._image(project)
                venv = await self._environment(request, image, files, follow)
                archive = directory / "project.tar"
                await asyncio.to_thread(pack, project, archive)
                await self._runs.start(
                    self._spec(request, name, image, venv),
                    request.timeout_s,
                    Contents(lambda: self._engine.put_archive(name, _PROJECT, archive)),
                )

    async def _image(self, project: Path) -> str:
        """With the environment that the project declares; one that cannot be set up is the project's failure."""
        try:
            environment = await read_environment(files_of(project))
            return await self._images.environment(await self._images.worker(), environment)
        except OrchestratorError as error:
            if error.code is not ErrorCode.ENVIRONMENT_FAILED:
                raise
            raise Refused(code_failure(error.message, str(error.details["evidence"]))) from None

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

    async def _environment(self, request: VerificationRequest, image: str, files: list[Path], follow: Follow) -> str:
        """The volume with the project's packages, built once for all that want the same.

        The container that built it stays: its exit code says that the volume is whole, for every installation that
        uses this engine.
        """
        content = {file.name: file.read_bytes() for file in files}
        content |= {f"plain-{file.name}": "\n".join([*plain_lines(file), ""]).encode() for file in files}
        name = f"venv-{_key(image, content)}"
        async with self._locked(name):
            if (await self._runs.status(name)).state == "lost" or not await self._engine.volume_exists(name):
                # Removed from outside. The engine would give the tests an empty volume of that name.
                await self._forget(name)
            status, output = await self._build(request, name, image, content, follow)
            if status.state == "exited" and status.exit_code == 0 and not status.stopped:
                return name
            await self._forget(name)
        if status.stopped:
            raise _setup_stopped()
        raise setup_failure(status, output)

    async def _forget(self, name: str) -> None:
        """Remove a build and its volume; a volume without a finished build is never used."""
        await self._runs.remove(name)
        await self._engine.remove_volume(name)

    async def _build(
        self, request: VerificationRequest, volume: str, image: str, content: dict[str, bytes], follow: Follow
    ) -> tuple[RunStatus, str]:
        known = await self._runs.status(volume)
        if known.state == "exited" and known.exit_code == 0:
            return known, ""
        access = await installer_access(_HOME)
        await self._engine.ensure_network(self._network)
        await self._engine.ensure_volume(volume, {_KIND_LABEL: "venv"})
        spec = ContainerSpec(
            volume,
            image,
            ["sh", "-ec", _BUILD],
            environment={"HOME": _HOME, "TMPDIR": "/tmp", "LANG": "C.UTF-8"},
            working_dir=_PROJECT,
            binds=(Bind(volume, _VENV), *access.binds),
            network=self._network,
            labels=_labels(request, "setup"),
            limits=self._limits,
        )

        async def fill() -> None:
            await self._engine.put_archive(volume, _PROJECT, archive_of(content))
            await self._engine.put_archive(volume, _HOME, archive_of(access.files, folders=True))

        await self._runs.start(spec, SETUP_TIMEOUT_S, Contents(fill, access.environment))
        async with self._runs.output(volume) as output:
            status, text = await _ended(output, volume, follow)
        # uv quotes the URLs of an index, which may hold a password.
        return status, redacted(text, secrets_in(access.environment))

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


async def _ended(output: RunOutput, name: str, follow: Follow) -> tuple[RunStatus, str]:
    status, _ = await LineFollower(output, beats_only(follow), name, "", "").follow(name, lambda _: [])
    content, _ = output.read_output(name, 0, MAX_LOG)
    return status, content.decode(errors="replace")


def _key(image: str, content: dict[str, bytes]) -> str:
    digest = hashlib.sha256(f"{image}\n".encode())
    for name, text in sorted(content.items()):
        digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()[:20]


def _labels(request: VerificationRequest, kind: str) -> dict[str, str]:
    return {
        _KIND_LABEL: kind,
        _TASK_LABEL: request.task_id,
        _COMMIT_LABEL: request.commit,
        "codegen-orchestrator.project": request.project_id,
    }


def _setup_stopped() -> OrchestratorError:
    """Whoever asked for the stop cancels their own work; another project that needs the same packages only has to try
    again."""
    return OrchestratorError(
        ErrorCode.PROCESS_FAILED,
        "The installation of packages was stopped by another task; it will be started again.",
        error_class=ErrorClass.TRANSIENT,
    )
