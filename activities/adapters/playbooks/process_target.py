"""Releases as supervised processes on the embedded local server, put there by a detached Ansible playbook.

Release, candidate and switch are tasks of `deploy_process.yml`. Returning to an earlier release, stopping,
restarting and removing only handle processes that exist, so they are done directly, with the same functions.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

from activities.adapters.playbooks.runner import Playbook, PlaybookRunner
from activities.adapters.playbooks.target import (
    main_service,
    operated,
    outcome_of,
    probe_release,
    release_ident,
    released_services,
    reverted,
    service_url,
)
from activities.adapters.release import directory
from activities.adapters.release.directory import ProjectPlace, claim_place
from activities.adapters.release.process_steps import ReleaseOrder
from activities.adapters.release.processes import ReleaseProcesses
from activities.adapters.release.services import load_release
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.states import RunAs, RunStatus
from activities.adapters.runs.supervisor import Supervisor
from activities.adapters.runs.unprivileged import UnprivilegedUsers
from activities.ports import ArtifactStore, Follow, Forge
from activities.rules_environment import bind_address
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import DeploymentDTO
from contracts.states import DeployAction
from contracts.steps import (
    OperationRequest,
    OperationResult,
    ProbeRequest,
    ProbeResult,
    ReleaseOutcome,
    ReleaseRequest,
    ReleaseVerdict,
)

_PLAYBOOK = "deploy_process.yml"


class AnsibleProcessTarget:
    """Implements `DeployTarget`. `home` is the state directory of the platform. `users` are whom services run as:
    one for each project, where the platform may drop to it. `start_timeout_s` is how long a service may take until
    its first answer, in seconds.
    """

    def __init__(
        self,
        home: Path,
        artifacts: ArtifactStore,
        forge: Forge,
        *,
        runs_dir: Path | None = None,
        start_timeout_s: float = 30.0,
        users: UnprivilegedUsers | None = None,
        python: str = sys.executable,
    ) -> None:
        self._services_dir = home / "services"
        self._venvs_dir = home / "caches" / "venvs"
        self._forge = forge
        self._runs_dir = runs_dir or home / "runs"
        self._artifacts = artifacts
        self._start_timeout_s = start_timeout_s
        self._users = users or UnprivilegedUsers([home])
        self._runner = PlaybookRunner(home, Supervisor(self._runs_dir), python)

    async def release(
        self, request: ReleaseRequest, environment: dict[str, dict[str, str]], follow: Follow
    ) -> ReleaseOutcome:
        """Put the release on the server and switch to it. A second call adopts the running or finished playbook.

        A release that does not get well leaves the one before it serving: `ok` and `switched` are False, `error`
        ends with the service's log. Raises PLAYBOOK_LOST (transient) when the playbook was killed from outside.
        """
        await self._forge.mirror(request.repository).fetch(request.plan.commit)
        place = await self._place(request.project_id, request.project_name)
        playbook = self._playbook(request, place, environment)
        result = await self._runner.run(playbook, follow)
        return await outcome_of(result, request, environment, self._artifacts)

    async def stop_release(self, request: ReleaseRequest) -> None:
        """Stop the playbook and its candidate; the release before it serves, what is unfinished is removed."""
        await self._runner.stop(release_ident(request.release_id, request.task_id))
        place = await self._place(request.project_id, request.project_name)
        async with file_lock(place.lock):
            before = directory.current_release(place)
            if before == request.release_id:
                before = request.allocation.previous_release_id
            await self._processes(place).return_to(request.release_id, before)

    async def revert(self, verdict: ReleaseVerdict, previous: DeploymentDTO | None) -> ReleaseOutcome:
        """`previous` serves again and is `current`, the failed release's processes are gone.

        Without a previous release nothing of the project runs. Repeating it changes nothing.
        """
        await self._runner.stop(release_ident(verdict.release_id, verdict.task_id))
        place = await self._place(verdict.project_id, verdict.project_name)
        return await reverted(self._return_to_locked(place, verdict.release_id, previous.id if previous else None))

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        """Look at every service several times from outside, as its users do, and at its restarts in between."""
        place = await self._place(request.project_id, request.project_name)
        processes = self._processes(place)

        async def status_of(service: str) -> RunStatus:
            return processes.status(service, request.release_id)

        return await probe_release(request, status_of)

    async def operate(
        self, request: OperationRequest, release: DeploymentDTO | None, follow: Follow
    ) -> OperationResult:
        """stop, restart or remove. Stopped stays stopped over a reboot; remove keeps data in `.removed`."""
        await follow.report([], follow.offset)
        place = await self._place(request.project_id, request.project_name)
        actions: dict[DeployAction, Callable[[], Awaitable[str | None]]] = {
            DeployAction.STOP: lambda: self._stop(place),
            DeployAction.RESTART: lambda: self._restart(place, release),
            DeployAction.REMOVE: lambda: self._remove(place),
        }
        if request.action not in actions:
            raise OrchestratorError(ErrorCode.INVALID_INPUT, f"{request.action.value} is not such an operation.")
        return await operated(self._alone(place, actions[request.action]))

    async def restore_services(self) -> list[str]:
        """Start what should run and does not, after a reboot; the names of what was started.

        Also forgets the secrets of playbooks that ended unseen. For every start of the platform.
        """
        await asyncio.to_thread(self._runner.sweep)
        started: list[str] = []
        for link in sorted(self._services_dir.glob("*/current")):
            place = ProjectPlace(link.parent)
            current = directory.current_release(place)
            if current is None or place.stopped.exists():
                continue
            async with file_lock(place.lock):
                started += await self._processes(place).restore(load_release(place, current))
        return started

    def _playbook(
        self, request: ReleaseRequest, place: ProjectPlace, environment: dict[str, dict[str, str]]
    ) -> Playbook:
        ident = release_ident(request.release_id, request.task_id)
        user = self._user(place)
        order = ReleaseOrder(
            release_id=request.release_id,
            commit=request.plan.commit,
            git_dir=str(self._forge.mirror(request.repository).directory),
            place=str(place.root),
            runs_dir=str(self._runs_dir),
            venvs_dir=str(self._venvs_dir),
            environment_file=str(self._runner.path(ident, "environment.json")),
            host=request.allocation.server_ip,
            bind=bind_address(request.allocation.server_ip),
            services=[asdict(service) for service in released_services(request.plan, request.allocation)],
            start_timeout_s=self._start_timeout_s,
            user={"uid": user.uid, "gid": user.gid} if user else None,
        )
        return Playbook(
            ident=ident,
            playbook=_PLAYBOOK,
            task_id=request.task_id,
            variables={"order": str(self._runner.path(ident, "order.json"))},
            secret_files={"order.json": json.dumps(asdict(order)), "environment.json": json.dumps(environment)},
            timeout_s=request.timeout_s,
        )

    async def _alone(self, place: ProjectPlace, action: Callable[[], Awaitable[str | None]]) -> str | None:
        async with file_lock(place.lock):
            return await action()

    async def _return_to_locked(self, place: ProjectPlace, failed: str, previous: str | None) -> None:
        async with file_lock(place.lock):
            await self._processes(place).return_to(failed, previous)

    async def _stop(self, place: ProjectPlace) -> None:
        await self._processes(place).stop_project()

    async def _restart(self, place: ProjectPlace, recorded: DeploymentDTO | None) -> str:
        release = await self._processes(place).restart(recorded.id if recorded else None)
        ports = {service.name: service.port for service in release.services}
        return service_url(release.host, ports[main_service(list(ports))])

    async def _remove(self, place: ProjectPlace) -> None:
        await self._stop(place)
        await asyncio.to_thread(directory.remove_place, place, self._services_dir)

    def _processes(self, place: ProjectPlace) -> ReleaseProcesses:
        return ReleaseProcesses(self._runs_dir, place, self._start_timeout_s, self._user(place))

    def _user(self, place: ProjectPlace) -> RunAs | None:
        return self._users.for_owner(f"service-{place.slug}")

    async def _place(self, project_id: str, project_name: str) -> ProjectPlace:
        return await asyncio.to_thread(claim_place, self._services_dir, project_id, project_name)
