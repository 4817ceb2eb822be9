"""Acceptance as processes of this machine: the services of a commit, and checks over HTTP.

Pages and bots need containers: here nothing keeps a browser or a bot from the network, so those criteria are not
checkable, and say so.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from activities.adapters.acceptance import jobs
from activities.adapters.acceptance.flow import AcceptanceFlow, left_by, lost, stopped
from activities.adapters.acceptance.judging import MAX_RESULT, Seen
from activities.adapters.forge.git import temporary_directory
from activities.adapters.process.package_caches import PackageCaches
from activities.adapters.runs.contained_files import read_inside
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.follower import LineFollower
from activities.adapters.runs.states import RunStatus
from activities.adapters.runs.supervisor import BEHIND_THE_PLATFORM, SupervisedCommand, Supervisor
from activities.adapters.runs.trees import remove_tree
from activities.adapters.runs.unprivileged import give
from activities.adapters.runs.users import UnprivilegedUsers
from activities.adapters.verification.steps import check_out, plain_requirements
from activities.ports import ArtifactStore, Follow, Forge, PlanReader
from contracts.acceptance import AcceptanceRequest
from contracts.errors import OrchestratorError
from contracts.steps import DeploymentPlan
from runtime.embedded.ports import any_free

_SERVICES, _SETUP = "-services", "-setup"
_MEANS = jobs.Means(why_not="pages and bots are checked in containers only, and this platform works without Docker")
_BEYOND_S = 180
_MAX_LOG = 4 * 1024 * 1024


class ProcessAcceptance(AcceptanceFlow):
    """Two runs for a task, commit and set of checks. Each has a directory below `work_dir` and a user of its own.

    `means`: a browser and an emulated Telegram, where nobody minds that they have a network: in tests.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        packages: PackageCaches,
        forge: Forge,
        plans: PlanReader,
        work_dir: Path,
        users: UnprivilegedUsers,
        artifacts: ArtifactStore,
        means: jobs.Means = _MEANS,
    ) -> None:
        super().__init__(plans, work_dir, artifacts)
        self._supervisor = supervisor
        self._packages = packages
        self._forge = forge
        self._users = users
        self._means = means

    async def end(self, request: AcceptanceRequest, name: str) -> None:
        for run in (name + _SETUP, name, name + _SERVICES):
            await self._supervisor.stop(run)
        await self._clear(name)

    async def begin(self, request: AcceptanceRequest, name: str, follow: Follow) -> None:
        async with self._locked(name):
            states = [self._supervisor.status(one).state for one in (name, name + _SERVICES)]
            if self.result(name) is not None or "lost" in states or states[0] != "absent":
                return
            plan = await self.plans.read(jobs.analysis(request))
            ports = self._ports(name, plan)
            settings = jobs.generated_settings(name, request, plan, ports)
            if states[1] == "absent":
                await self._start_services(request, name, plan, settings, ports, follow)
            await self._start_checks(request, name, plan, settings, ports)

    async def _start_services(
        self,
        request: AcceptanceRequest,
        name: str,
        plan: DeploymentPlan,
        settings: jobs.Settings,
        ports: jobs.Ports,
        follow: Follow,
    ) -> None:
        root = self.state_dir / (name + _SERVICES)
        async with temporary_directory(self.state_dir / ".drafts") as directory:
            draft = await check_out(self._forge.mirror(request.repository), request.commit, directory)
            await asyncio.to_thread(remove_tree, root)
            (root / "data").mkdir(mode=0o700, parents=True)
            os.rename(draft, root / "project")
        files = await asyncio.to_thread(plain_requirements, root / "project")
        venv = await self._packages.ready(name + _SETUP, files, self.state_dir, follow)
        python, path = str(venv / "bin" / "python"), f"{venv}/bin:{os.defpath}"
        paths = jobs.Paths(str(root / "project"), str(root / "data"), python, path)
        job = jobs.services_job(plan, settings, ports, paths)
        limit = request.timeout_s + 2 * _BEYOND_S
        await self._start(name + _SERVICES, "acceptance_runner.serve", job, f"acceptance-{request.project_id}", limit)

    async def _start_checks(
        self,
        request: AcceptanceRequest,
        name: str,
        plan: DeploymentPlan,
        settings: jobs.Settings,
        ports: jobs.Ports,
    ) -> None:
        root = self.state_dir / name
        await asyncio.to_thread(remove_tree, root)
        (root / "out").mkdir(mode=0o700, parents=True)
        job = jobs.checks_job(request, plan, settings, ports, self._means, str(root / "out"))
        await self._start(name, "acceptance_runner", job, "acceptance-checks", request.timeout_s + _BEYOND_S)

    async def _start(self, name: str, module: str, job: dict[str, Any], owner: str, limit_s: int) -> None:
        """In its directory, as its user."""
        root, user = self.state_dir / name, self._users.for_owner(owner)
        for path, content in {**jobs.programs(), **jobs.emulator(), "job.json": json.dumps(job).encode()}.items():
            (root / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        await asyncio.to_thread(give, root, user)
        argv = [sys.executable, "-m", module, str(root / "job.json")]
        values = {"PATH": os.defpath, "HOME": str(root), "LANG": "C.UTF-8", "PYTHONPATH": str(root)}
        environment = {**values, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        command = SupervisedCommand(name, argv, root, environment, limit_s, user=user, niceness=BEHIND_THE_PLATFORM)
        await self._supervisor.start(command)

    def _ports(self, name: str, plan: DeploymentPlan) -> jobs.Ports:
        """Those that an earlier attempt has chosen, or free ones."""
        file = self.state_dir / f"{name}.ports"
        if not file.exists():
            chosen = jobs.Ports({one.name: any_free() for one in plan.services}, any_free(), any_free())
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = file.with_suffix(".draft")
            draft.write_text(json.dumps(asdict(chosen)))
            draft.replace(file)
        return jobs.Ports(**json.loads(file.read_text()))

    async def observe(self, request: AcceptanceRequest, name: str, follow: Follow) -> Seen:
        key = f"{request.task_id}:accept:{request.commit[:12]}"
        follower = LineFollower(self._supervisor, follow, key, request.task_id, request.task_id)
        status, _ = await follower.follow(name, lambda line: [line.decode(errors="replace")])
        services = self._supervisor.status(name + _SERVICES)
        if status.stopped or services.stopped:
            raise stopped()
        if status.state != "exited" or services.state not in {"running", "exited"}:
            raise await self._lost(name, "they were killed from outside")
        return await self._seen_by(request, name, status)

    async def _seen_by(self, request: AcceptanceRequest, name: str, status: RunStatus) -> Seen:
        content = await asyncio.to_thread(read_inside, self.state_dir / name, f"out/{jobs.RESULT_FILE}", MAX_RESULT)
        if content is None:
            raise await self._lost(name, f"they ended with exit code {status.exit_code} and left no result")
        plan = await self.plans.read(jobs.analysis(request))
        settings = jobs.generated_settings(name, request, plan, self._ports(name, plan))
        log = self._supervisor.read_output(name + _SERVICES, 0, _MAX_LOG)[0].decode(errors="replace")
        return replace(left_by(content, status), log=log, secrets=tuple(settings.secrets.values()))

    async def _lost(self, name: str, why: str) -> OrchestratorError:
        """Forget the run, so that the next call starts another."""
        await self.remove(name)
        return lost(why)

    async def remove(self, name: str) -> None:
        for run in (name, name + _SERVICES):
            await self._supervisor.stop(run)
            await asyncio.to_thread(self._supervisor.remove, run)
        await self._clear(name)

    async def _clear(self, name: str) -> None:
        """Remove the directories; they have secrets that nothing else uses, and data."""
        for run in (name, name + _SERVICES):
            await asyncio.to_thread(remove_tree, self.state_dir / run)
        (self.state_dir / f"{name}.ports").unlink(missing_ok=True)

    def _locked(self, name: str) -> AbstractAsyncContextManager[object]:
        return file_lock(self.state_dir / ".locks" / f"{name}.lock")
