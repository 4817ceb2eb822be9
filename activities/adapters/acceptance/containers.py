"""Acceptance in containers: the services of a commit in one, the checks in another that shares only its network.

That network is a loopback device and nothing else. The services cannot see the checks, and cannot change what they
have shown. What runs is the commit's own code with the packages that its tests had, generated settings, and data that
is thrown away.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from activities.adapters.acceptance import jobs
from activities.adapters.acceptance.flow import AcceptanceFlow, left_by, lost, stopped
from activities.adapters.acceptance.judging import MAX_RESULT, Seen, never_started
from activities.adapters.containers.engine import Bind, ContainerSpec, Limits
from activities.adapters.containers.images.docker_images import DockerImages
from activities.adapters.containers.package_volumes import KIND_LABEL, PackageVolumes
from activities.adapters.containers.project_image import image_of
from activities.adapters.containers.runs import SHARED_NETWORK, ContainerRuns, Contents, archive_of, beating, pack
from activities.adapters.forge.git import temporary_directory
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.follower import LineFollower
from activities.adapters.runs.states import RunStatus
from activities.adapters.verification.steps import Refused, check_out, plain_requirements
from activities.ports import ArtifactStore, Follow, Forge, PlanReader
from contracts.acceptance import AcceptanceRequest
from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import DeploymentPlan

_TASK_LABEL = "codegen-orchestrator.task"
_COMMIT_LABEL = "codegen-orchestrator.commit"
_HOME = "/home/worker"
_PROGRAMS = f"{_HOME}/accept"
_OUT = "/out"
_BROWSER = "/usr/bin/chromium"
_PATHS = jobs.Paths("/project", "/out/data", "/venv/bin/python", "/venv/bin:/usr/bin:/bin")
_BEYOND_S = 180
"""After the time for checks: for the one that runs, and for what stops them from being counted as lost."""
_MAX_LOG = 4 * 1024 * 1024
_MAX_PICTURE = 2 * 1024 * 1024
_OF_EMULATOR = ("aiogram", "aiohttp", "pydantic")


@dataclass(frozen=True)
class _Names:
    """Of the two containers of a run."""

    checks: str

    @property
    def services(self) -> str:
        return f"{self.checks}-services"

    def both(self) -> tuple[str, str]:
        """The checks first: without them nobody asks the services."""
        return self.checks, self.services


class DockerAcceptance(AcceptanceFlow):
    """Two containers for a task, commit and set of checks."""

    def __init__(
        self,
        runs: ContainerRuns,
        images: DockerImages,
        packages: PackageVolumes,
        forge: Forge,
        plans: PlanReader,
        state_dir: Path,
        artifacts: ArtifactStore,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(plans, state_dir, artifacts)
        self._runs = runs
        self._engine = runs.engine
        self._images = images
        self._packages = packages
        self._forge = forge
        self._limits = limits or Limits()

    async def end(self, request: AcceptanceRequest, name: str) -> None:
        await self._packages.stop({_TASK_LABEL: request.task_id, _COMMIT_LABEL: request.commit})
        for one in _Names(name).both():
            status = await self._runs.stop(one)
            if status.stopped:
                await self._engine.remove(one)
            else:
                await self._runs.remove(one)

    async def begin(self, request: AcceptanceRequest, name: str, follow: Follow) -> None:
        await beating(follow, self._begin(request, _Names(name), follow))

    async def _begin(self, request: AcceptanceRequest, names: _Names, follow: Follow) -> None:
        """A service that ended at once is left as it is: its log says why."""
        async with self._locked(names.checks):
            states = [(await self._runs.status(name)).state for name in names.both()]
            if self.result(names.checks) is not None or "lost" in states or states[0] != "absent":
                return
            plan = await self.plans.read(jobs.analysis(request))
            settings = jobs.generated_settings(names.checks, request, plan, jobs.ports_alone(plan))
            await self._start_services(request, names, plan, settings, follow)
            if (await self._runs.status(names.services)).state == "running":
                await self._start_checks(request, names, plan, settings, follow)

    async def _start_services(
        self, request: AcceptanceRequest, names: _Names, plan: DeploymentPlan, settings: jobs.Settings, follow: Follow
    ) -> None:
        async with temporary_directory(self.state_dir / ".drafts") as directory:
            project = await check_out(self._forge.mirror(request.repository), request.commit, directory)
            files = await asyncio.to_thread(plain_requirements, project)
            image = await image_of(project, self._images)
            venv = await self._packages.ready(image, files, _labels(request, "setup"), follow)
            archive = directory / "project.tar"
            await asyncio.to_thread(pack, project, archive)
            spec = self._spec(request, names.services, image, "acceptance_runner.serve")
            spec = replace(spec, binds=(Bind(venv, "/venv", read_only=True),), working_dir="/project")
            job = jobs.services_job(plan, settings, jobs.ports_alone(plan), _PATHS)

            async def fill() -> None:
                await self._engine.put_archive(names.services, "/project", archive)
                await self._put(names.services, jobs.programs(), job)

            await self._runs.start(spec, request.timeout_s + 2 * _BEYOND_S, Contents(fill))

    async def _start_checks(
        self, request: AcceptanceRequest, names: _Names, plan: DeploymentPlan, settings: jobs.Settings, follow: Follow
    ) -> None:
        kinds = {kind for check in request.checks for kind in check.needs}
        image = await (self._images.browser() if "page" in kinds else self._images.worker())
        telegram = await self._telegram(request, follow) if settings.token is not None else None
        means = jobs.Means(_BROWSER, "/venv/bin/python" if telegram else None)
        spec = self._spec(request, names.checks, image, "acceptance_runner")
        spec = replace(spec, network=f"{SHARED_NETWORK}{names.services}")
        if telegram is not None:
            spec = replace(spec, binds=(Bind(telegram, "/venv", read_only=True),))
        job = jobs.checks_job(request, plan, settings, jobs.ports_alone(plan), means, _OUT)

        async def fill() -> None:
            await self._put(names.checks, jobs.programs() | jobs.emulator(), job)

        try:
            await self._runs.start(spec, request.timeout_s + _BEYOND_S, Contents(fill))
        except OrchestratorError:
            if (await self._runs.status(names.services)).state != "exited":
                raise
            # They ended before the checks could join them: there is nothing to check, and their log says why.
            await self._runs.remove(names.checks)

    async def _telegram(self, request: AcceptanceRequest, follow: Follow) -> str:
        """The volume with the packages of the emulated Telegram, as this platform has them."""
        async with temporary_directory(self.state_dir / ".drafts") as directory:
            file = directory / "requirements.txt"
            file.write_text("".join(f"{one}=={version(one)}\n" for one in _OF_EMULATOR))
            try:
                image = await self._images.worker()
                return await self._packages.ready(image, [file], _labels(request, "setup"), follow)
            except Refused as refused:
                raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, refused.verdict.evidence) from refused

    def _spec(self, request: AcceptanceRequest, name: str, image: str, module: str) -> ContainerSpec:
        environment = {"HOME": _HOME, "TMPDIR": "/tmp", "LANG": "C.UTF-8", "PYTHONPATH": _PROGRAMS}
        return ContainerSpec(
            name,
            image,
            ["/usr/bin/python3", "-m", module, f"{_PROGRAMS}/job.json"],
            environment={**environment, "PYTHONUNBUFFERED": "1"},
            labels=_labels(request, "acceptance"),
            limits=self._limits,
        )

    async def _put(self, name: str, programs: dict[str, bytes], job: dict[str, Any]) -> None:
        files = {f"accept/{path}": content for path, content in programs.items()}
        files["accept/job.json"] = json.dumps(job).encode()
        await self._engine.put_archive(name, _HOME, archive_of(files, folders=True))

    async def observe(self, request: AcceptanceRequest, name: str, follow: Follow) -> Seen:
        names, status = _Names(name), RunStatus(name, "absent")
        if (await self._runs.status(name)).state != "absent":
            async with self._runs.output(name) as output:
                key = f"{request.task_id}:accept:{request.commit[:12]}"
                follower = LineFollower(output, follow, key, request.task_id, request.task_id)
                status, _ = await follower.follow(name, lambda line: [line.decode(errors="replace")])
        services = await self._runs.status(names.services)
        if status.stopped or services.stopped:
            raise stopped()
        if status.state == "absent" and services.state == "exited":
            said = f"the services ended with exit code {services.exit_code}"
            return never_started("ended", said, await self._log(names))
        if status.state != "exited" or services.state not in {"running", "exited"}:
            raise await self._lost(names, "they were killed or removed from outside")
        return await self._seen_by(request, names, status)

    async def _seen_by(self, request: AcceptanceRequest, names: _Names, status: RunStatus) -> Seen:
        """Raises ACCEPTANCE_LOST (transient) when the checks left no result, as after an engine that was killed."""
        content = await self._engine.read_file(names.checks, f"{_OUT}/{jobs.RESULT_FILE}", MAX_RESULT)
        if content is None:
            raise await self._lost(names, f"they ended with exit code {status.exit_code} and left no result")
        try:
            seen = left_by(content, status)
        except OrchestratorError:
            await self.remove(names.checks)
            raise
        plan = await self.plans.read(jobs.analysis(request))
        settings = jobs.generated_settings(names.checks, request, plan, jobs.ports_alone(plan))
        pictures = {name: await self._picture(names, name) for name in _pictures(seen.checks)}
        secrets = tuple(settings.secrets.values())
        return replace(seen, log=await self._log(names), pictures=pictures, secrets=secrets)

    async def _picture(self, names: _Names, name: str) -> bytes:
        return await self._engine.read_file(names.checks, f"{_OUT}/{name}", _MAX_PICTURE) or b""

    async def _log(self, names: _Names) -> str:
        """The end of what the services printed; they may still run."""
        said = bytearray()

        def keep(chunk: bytes) -> None:
            said.extend(chunk)
            del said[:-_MAX_LOG]

        await self._engine.copy_output(names.services, 0, keep, follow=False)
        return said.decode(errors="replace")

    async def _lost(self, names: _Names, why: str) -> OrchestratorError:
        """Forget the run, so that the next call starts another."""
        await self.remove(names.checks)
        return lost(why)

    async def remove(self, name: str) -> None:
        for one in _Names(name).both():
            await self._runs.remove(one)

    def _locked(self, name: str) -> AbstractAsyncContextManager[object]:
        return file_lock(self.state_dir / ".locks" / f"{name}.lock")


def _pictures(checks: list[dict[str, Any]]) -> list[str]:
    """Names as the checks' own program gave them."""
    return [name for check in checks for name in check.get("screenshots", [])]


def _labels(request: AcceptanceRequest, kind: str) -> dict[str, str]:
    return {
        KIND_LABEL: kind,
        _TASK_LABEL: request.task_id,
        _COMMIT_LABEL: request.commit,
        "codegen-orchestrator.project": request.project_id,
    }
