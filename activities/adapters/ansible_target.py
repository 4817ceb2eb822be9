"""Releases as supervised processes on the embedded local server, put there by a detached Ansible playbook.

Release, candidate and switch are tasks of `deploy_process.yml`. Returning to an earlier release, stopping,
restarting and removing only handle processes that exist, so they are done directly, with the same functions.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

from activities.adapters import release_directory as directory
from activities.adapters.playbook_runner import Playbook, PlaybookResult, PlaybookRunner
from activities.adapters.probe import Expectation, look, url_host
from activities.adapters.release_directory import ProjectPlace, claim_place
from activities.adapters.release_processes import (
    ReleasedService,
    ReleaseProcesses,
    load_release,
    redact,
    secret_values,
)
from activities.adapters.release_steps import ReleaseOrder
from activities.adapters.supervision import RunAs, Supervisor
from activities.adapters.unprivileged import UnprivilegedUsers
from activities.ports import ArtifactStore, Follow
from activities.rules_environment import bind_address, sensitive_names
from contracts.errors import ErrorCode, OrchestratorError, bounded
from contracts.ids import playbook_ident
from contracts.nouns import DeploymentDTO
from contracts.states import DeployAction
from contracts.steps import (
    Allocation,
    DeploymentPlan,
    OperationRequest,
    OperationResult,
    ProbeRequest,
    ProbeResult,
    ReleaseOutcome,
    ReleaseRequest,
    ReleaseVerdict,
    ServiceProcess,
)

_PLAYBOOK = "deploy_process.yml"
_LOOKS = 3
_LOOK_EVERY_S = 0.5
_MAX_NAME = 150


class AnsibleProcessTarget:
    """Implements `DeployTarget`. `home` is the state directory of the platform; bare repositories are in
    `forge_dir` as `<org>/<name>.git`. `users` are whom services run as: one for each project, where the platform
    may drop to it. `start_timeout_s` is how long a service may take until its first answer, in seconds.
    """

    def __init__(
        self,
        home: Path,
        artifacts: ArtifactStore,
        *,
        forge_dir: Path | None = None,
        runs_dir: Path | None = None,
        start_timeout_s: float = 30.0,
        users: UnprivilegedUsers | None = None,
        python: str = sys.executable,
    ) -> None:
        self._services_dir = home / "services"
        self._venvs_dir = home / "caches" / "venvs"
        self._forge_dir = forge_dir or home / "forge"
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
        place = await self._place(request.project_id, request.project_name)
        playbook = self._playbook(request, place, environment)
        result = await self._runner.run(playbook, follow)
        sensitive = list(sensitive_names(request.plan.environment))
        secrets = [secret for values in environment.values() for secret in secret_values(values, sensitive)]
        log = redact(result.log.decode(errors="replace"), secrets)
        reference = await self._artifacts.put("playbook.log", log.encode())
        if result.ok:
            return ReleaseOutcome(ok=True, switched=True, log=reference)
        code, error = _reason(result, request)
        return ReleaseOutcome(
            ok=False, switched=False, error_code=code, error=bounded(redact(error, secrets), 3_900), log=reference
        )

    async def stop_release(self, request: ReleaseRequest) -> None:
        """Stop the playbook and its candidate; the release before it serves, what is unfinished is removed."""
        await self._runner.stop(_ident(request.release_id, request.task_id))
        place = await self._place(request.project_id, request.project_name)
        async with directory.holding(place.lock):
            before = directory.current_release(place)
            if before == request.release_id:
                before = request.allocation.previous_release_id
            await self._return_to(place, request.release_id, before)

    async def revert(self, verdict: ReleaseVerdict, previous: DeploymentDTO | None) -> ReleaseOutcome:
        """`previous` serves again and is `current`, the failed release's processes are gone.

        Without a previous release nothing of the project runs. Repeating it changes nothing.
        """
        await self._runner.stop(_ident(verdict.release_id, verdict.task_id))
        place = await self._place(verdict.project_id, verdict.project_name)
        try:
            async with directory.holding(place.lock):
                await self._return_to(place, verdict.release_id, previous.id if previous else None)
        except OrchestratorError as error:
            if error.retryable:
                raise
            return ReleaseOutcome(ok=False, switched=False, error_code=error.code.value, error=error.message)
        return ReleaseOutcome(ok=True, switched=False)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        """Look at every service several times from outside, as its users do, and at its restarts in between."""
        place = await self._place(request.project_id, request.project_name)
        ports = {item.service: item.port for item in request.allocation.ports}
        probes = [self._probe_service(place, request, service, ports) for service in request.plan.services]
        results = await asyncio.gather(*probes)
        main = _main_service([service.name for service in request.plan.services])
        url = _url(request.allocation.server_ip, ports[main])
        failed = next((result for result in results if not result.ok), None)
        if failed is not None:
            return failed.model_copy(update={"url": url})
        return ProbeResult(ok=True, url=url, status_code=200)

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
        try:
            async with directory.holding(place.lock):
                return OperationResult(ok=True, url=await actions[request.action]())
        except OrchestratorError as error:
            if error.retryable:
                raise
            return OperationResult(ok=False, error=error.message)

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
            async with directory.holding(place.lock):
                started += await self._processes(place).restore(load_release(place, current))
        return started

    def _playbook(
        self, request: ReleaseRequest, place: ProjectPlace, environment: dict[str, dict[str, str]]
    ) -> Playbook:
        ident = _ident(request.release_id, request.task_id)
        user = self._user(place)
        order = ReleaseOrder(
            release_id=request.release_id,
            commit=request.plan.commit,
            git_dir=str(self._forge_dir / f"{request.repository}.git"),
            place=str(place.root),
            runs_dir=str(self._runs_dir),
            venvs_dir=str(self._venvs_dir),
            environment_file=str(self._runner.path(ident, "environment.json")),
            host=request.allocation.server_ip,
            bind=bind_address(request.allocation.server_ip),
            services=[asdict(service) for service in _services(request.plan, request.allocation)],
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

    async def _return_to(self, place: ProjectPlace, failed: str, previous: str | None) -> None:
        processes = self._processes(place)
        await processes.stop_candidates()
        await processes.stop_live(other_than=previous)
        if previous is None:
            place.current.unlink(missing_ok=True)
        elif not place.stopped.exists():
            await processes.start_release(load_release(place, previous))
            directory.make_current(place, previous)
        if failed != previous:
            await asyncio.to_thread(directory.clear_unserved, place, failed)

    async def _stop(self, place: ProjectPlace) -> None:
        place.stopped.touch()
        await self._processes(place).stop_live()
        await self._processes(place).stop_candidates()

    async def _restart(self, place: ProjectPlace, recorded: DeploymentDTO | None) -> str:
        current = recorded.id if recorded else directory.current_release(place)
        if current is None:
            raise OrchestratorError(ErrorCode.NOT_DEPLOYED, "Nothing of this project is deployed; deploy it first.")
        release = load_release(place, current)
        await self._processes(place).stop_live()
        await self._processes(place).switch(release)
        ports = {service.name: service.port for service in release.services}
        return _url(release.host, ports[_main_service(list(ports))])

    async def _remove(self, place: ProjectPlace) -> None:
        await self._stop(place)
        await asyncio.to_thread(directory.remove_place, place, self._services_dir)

    async def _probe_service(
        self, place: ProjectPlace, request: ProbeRequest, service: ServiceProcess, ports: dict[str, int]
    ) -> ProbeResult:
        host, port = request.allocation.server_ip, ports[service.name]
        expected = Expectation(service.health_path, service.health_contains, request.release_id)
        processes = self._processes(place)
        first = processes.status(service.name, request.release_id)
        url, status_code, error = _url(host, port), None, None
        for number in range(_LOOKS):
            await asyncio.sleep(_LOOK_EVERY_S if number else 0)
            answer = await look(host, port, expected)
            status_code, error = answer.status_code, answer.error
            if error is not None:
                break
        last = processes.status(service.name, request.release_id)
        if last.state != "running" or (last.pid, last.restarts) != (first.pid, first.restarts):
            error = f"its process restarted or ended while it was watched ({error or last.state})"
        if error is not None:
            error = bounded(f"{service.name} at {url}: {error}", 1_900)
        return ProbeResult(ok=error is None, url=url, status_code=status_code, restarts=last.restarts, error=error)

    def _processes(self, place: ProjectPlace) -> ReleaseProcesses:
        return ReleaseProcesses(self._runs_dir, place, self._start_timeout_s, self._user(place))

    def _user(self, place: ProjectPlace) -> RunAs | None:
        return self._users.for_owner(f"service-{place.slug}")

    async def _place(self, project_id: str, project_name: str) -> ProjectPlace:
        return await asyncio.to_thread(claim_place, self._services_dir, project_id, project_name)


def _services(plan: DeploymentPlan, allocation: Allocation) -> list[ReleasedService]:
    ports = {item.service: item.port for item in allocation.ports}
    sensitive = sorted(sensitive_names(plan.environment))
    return [
        ReleasedService(
            name=service.name,
            argv=service.command,
            port=ports[service.name],
            health_path=service.health_path,
            health_contains=service.health_contains,
            port_names=[
                entry.name
                for entry in plan.environment
                if entry.source == "allocation" and entry.value in {None, service.name}
            ],
            sensitive=sensitive,
        )
        for service in plan.services
    ]


def _reason(result: PlaybookResult, request: ReleaseRequest) -> tuple[str, str]:
    """Code and text for a person: what the failed task said, else how the playbook ended."""
    if result.timed_out:
        return ErrorCode.PLAYBOOK_FAILED.value, f"The deployment took longer than {request.timeout_s} s."
    if result.failure.get("code"):
        code = str(result.failure["code"])
        known = code if code == ErrorCode.PROBE_FAILED.value else ErrorCode.PLAYBOOK_FAILED.value
        return known, f"{result.task}: {result.failure['msg']}"
    tail = result.log.decode(errors="replace")[-1_500:]
    return ErrorCode.PLAYBOOK_FAILED.value, f"The playbook ended with code {result.exit_code}.\n{tail}"


def _ident(release_id: str, task_id: str) -> str:
    """One playbook per release and task: a rollback is another task that puts an old release in place again."""
    ident = playbook_ident(release_id, task_id)
    if len(ident) <= _MAX_NAME:
        return ident
    return f"{ident[: _MAX_NAME - 17]}-{hashlib.sha256(ident.encode()).hexdigest()[:16]}"


def _main_service(names: list[str]) -> str:
    """Whose address is the project's."""
    return "backend" if "backend" in names else names[0]


def _url(host: str, port: int) -> str:
    return f"http://{url_host(host)}:{port}"
