"""Releases as containers on a server, put there over SSH by a detached Ansible playbook.

Release, candidate and switch are tasks of `deploy_container.yml`. Returning to an earlier release, stopping,
restarting and removing only handle what is on the server already, so they go to the same release program directly.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from activities.adapters.packages.registry_access import registry_files
from activities.adapters.playbooks.release_kit import release_kit
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
from activities.adapters.release.container_steps import ContainerOrder
from activities.adapters.runs.states import RunStatus
from activities.adapters.runs.supervisor import Supervisor
from activities.adapters.servers.remote_shell import ServerAccess
from activities.ports import ArtifactStore, Follow, Forge
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
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

LOCAL_SERVER = "local"
_PLAYBOOK = "deploy_container.yml"
_STEP_S = 300.0
"""A step outside a playbook stops or starts what is there: it builds nothing."""


class Servers(Protocol):
    """Whoever knows how servers are reached."""

    async def access(self, handle: str) -> ServerAccess:
        """Raises OrchestratorError, transient when the server does not answer now."""


class AnsibleContainerTarget:
    """Implements `DeployTarget`. `home` is the state directory of the platform. `start_timeout_s` is how long a
    service may take until its first answer, in seconds.
    On the server a project has `/srv/<slug>/{releases,current,data}` and a numeric user of its own.
    """

    def __init__(
        self,
        home: Path,
        artifacts: ArtifactStore,
        forge: Forge,
        servers: Servers,
        *,
        runs_dir: Path | None = None,
        start_timeout_s: float = 60.0,
        python: str = sys.executable,
    ) -> None:
        self._forge = forge
        self._artifacts = artifacts
        self._servers = servers
        self._start_timeout_s = start_timeout_s
        self._runner = PlaybookRunner(home, Supervisor(runs_dir or home / "runs"), python)

    async def release(
        self, request: ReleaseRequest, environment: dict[str, dict[str, str]], follow: Follow
    ) -> ReleaseOutcome:
        """Put the release on the server and switch to it. A second call adopts the running or finished playbook.

        A release that does not get well leaves the one before it serving: `ok` and `switched` are False, `error`
        ends with the service's log. Raises PLAYBOOK_LOST (transient) when the playbook was killed from outside or
        the server could not be reached.
        """
        access, registry, _ = await asyncio.gather(
            self._servers.access(request.allocation.server_handle),
            asyncio.to_thread(registry_files),
            self._forge.mirror(request.repository).fetch(request.plan.commit),
        )
        playbook = self._playbook(request, access, environment, registry)
        result = await self._runner.run(playbook, follow)
        return await outcome_of(result, request, environment, self._artifacts)

    async def stop_release(self, request: ReleaseRequest) -> None:
        """Stop the playbook and its candidate; the release before it serves, what is unfinished is removed."""
        await self._runner.stop(release_ident(request.release_id, request.task_id))
        order = ContainerOrder(
            step="abandon",
            project_id=request.project_id,
            project_name=request.project_name,
            release_id=request.release_id,
            previous=request.allocation.previous_release_id,
            start_timeout_s=self._start_timeout_s,
        )
        await self._do(request.allocation.server_handle, order)

    async def revert(self, verdict: ReleaseVerdict, previous: DeploymentDTO | None) -> ReleaseOutcome:
        """`previous` serves again and is `current`, the failed release's containers are gone.

        Without a previous release nothing of the project runs. Repeating it changes nothing.
        """
        await self._runner.stop(release_ident(verdict.release_id, verdict.task_id))
        handle = verdict.allocation.server_handle if verdict.allocation else _server_of(previous)
        order = ContainerOrder(
            step="revert",
            project_id=verdict.project_id,
            project_name=verdict.project_name,
            release_id=verdict.release_id,
            previous=previous.id if previous else None,
            start_timeout_s=self._start_timeout_s,
        )
        return await reverted(self._do(handle, order))

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        """Look at every service several times from outside, as its users do, and at its restarts in between."""
        access = await self._servers.access(request.allocation.server_handle)
        order = ContainerOrder("status", request.project_id, request.project_name, request.release_id)

        async def status_of(service: str) -> RunStatus:
            found = (await self._ask(access, order))["services"].get(service, {})
            return RunStatus(service, **{"state": "absent"} | found)

        return await probe_release(request, status_of)

    async def operate(
        self, request: OperationRequest, release: DeploymentDTO | None, follow: Follow
    ) -> OperationResult:
        """stop, restart or remove. Stopped stays stopped over a reboot; remove keeps data in `.removed`."""
        await follow.report([], follow.offset)
        if request.action not in {DeployAction.STOP, DeployAction.RESTART, DeployAction.REMOVE}:
            raise OrchestratorError(ErrorCode.INVALID_INPUT, f"{request.action.value} is not such an operation.")
        return await operated(self._change(request.action.value, request, release))

    async def restore_services(self) -> list[str]:
        """Nothing: the engine of a server starts again what ran, and the server comes back with its machine.

        Forgets the secrets of playbooks that ended unseen. For every start of the platform.
        """
        await asyncio.to_thread(self._runner.sweep)
        return []

    def _playbook(
        self,
        request: ReleaseRequest,
        access: ServerAccess,
        environment: dict[str, dict[str, str]],
        registry: dict[str, str],
    ) -> Playbook:
        ident = release_ident(request.release_id, request.task_id)
        sent = ContainerOrder(
            step="",
            project_id=request.project_id,
            project_name=request.project_name,
            release_id=request.release_id,
            commit=request.plan.commit,
            host=request.allocation.server_ip,
            services=[asdict(service) for service in released_services(request.plan, request.allocation)],
            start_timeout_s=self._start_timeout_s,
            build_timeout_s=float(request.timeout_s),
        )
        order = {
            "sent": asdict(sent),
            "git_dir": str(self._forge.mirror(request.repository).directory),
            "environment_file": str(self._runner.path(ident, "environment.json")),
            "registry_file": str(self._runner.path(ident, "registry.json")),
        }
        secret_files = {"order.json": order, "environment.json": environment, "registry.json": registry}
        return Playbook(
            ident=ident,
            playbook=_PLAYBOOK,
            task_id=request.task_id,
            variables={"order": str(self._runner.path(ident, "order.json"))},
            secret_files={name: json.dumps(content) for name, content in secret_files.items()},
            timeout_s=request.timeout_s,
            host=access.inventory(self._runner.connection(ident)),
        )

    async def _change(self, step: str, request: OperationRequest, release: DeploymentDTO | None) -> str | None:
        order = ContainerOrder(
            step=step,
            project_id=request.project_id,
            project_name=request.project_name,
            release_id=release.id if release else "",
            start_timeout_s=self._start_timeout_s,
        )
        answer = await self._do(_server_of(release), order)
        if "ports" not in answer:
            return None
        return service_url(answer["host"], answer["ports"][main_service(list(answer["ports"]))])

    async def _do(self, handle: str, order: ContainerOrder) -> dict[str, Any]:
        return await self._ask(await self._servers.access(handle), order)

    async def _ask(self, access: ServerAccess, order: ContainerOrder) -> dict[str, Any]:
        """Have the release program do one step. Raises what it says that went wrong."""
        given = json.dumps(asdict(order)).encode() + b"\n"
        reply = await release_kit().run(access, given, timeout_s=_STEP_S)
        if reply.code != 0:
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED,
                f"The release program on {access.handle} ended with {reply.code}: {reply.error[-1_000:]}",
                error_class=ErrorClass.TRANSIENT,
            )
        answer: dict[str, Any] = json.loads(reply.text)
        if answer.get("failed"):
            kind = ErrorClass.TRANSIENT if answer["retryable"] else ErrorClass.PERMANENT
            raise OrchestratorError(ErrorCode(answer["code"]), answer["msg"], error_class=kind)
        return answer


def _server_of(release: DeploymentDTO | None) -> str:
    return (release.server_handle if release else None) or LOCAL_SERVER
