"""Releases a project: a detached run of the release program deploys, and the same program is asked to change and show
what runs."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from activities.adapters.playbooks.conversation import Conversation, KitMissing, conversation
from activities.adapters.playbooks.detached import DetachedOrder, DetachedReleases, DetachedResult
from activities.adapters.playbooks.hosts import ProgramHost
from activities.adapters.playbooks.release_kit import NOT_THERE
from activities.adapters.playbooks.watching import Outside, main_service, ports, seen, service_url
from activities.adapters.release.order import Order
from activities.adapters.release.program import DEPLOY
from activities.adapters.release.services import ReleasedService, secret_values
from activities.adapters.runs.supervisor import Supervisor
from activities.ports import ArtifactStore, Follow
from activities.rules.environment import sensitive_names
from contracts.errors import ErrorCode, OrchestratorError, bounded, end_of
from contracts.ids import release_run_name
from contracts.nouns import DeploymentDTO
from contracts.redaction import redacted, redacted_part
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
    Serving,
)

LOCAL_SERVER = "local"
_MAX_NAME = 150
_OWN_CODES = {
    ErrorCode.PROBE_FAILED,
    ErrorCode.MIGRATION_FAILED,
    ErrorCode.IMAGE_MISMATCH,
    ErrorCode.RELEASE_NOT_KEPT,
    ErrorCode.PORT_TAKEN,
}
"""What a person is told as such; all else is a failed installation."""
_OPERATIONS = {DeployAction.STOP, DeployAction.RESTART, DeployAction.REMOVE}

Project = ReleaseRequest | ReleaseVerdict | ProbeRequest | OperationRequest
Said = TypeVar("Said")
HostOf = Callable[[str], Awaitable[ProgramHost]]
Restore = Callable[[], Awaitable[list[str]]]


class ReleaseTarget:
    """Implements `DeployTarget`. `home` is the state directory of the platform, `host_of` tells where the program of
    a server is called, and `restore` starts there what should run.
    """

    def __init__(self, home: Path, artifacts: ArtifactStore, host_of: HostOf, restore: Restore) -> None:
        self._artifacts = artifacts
        self._host_of = host_of
        self._restore = restore
        self._detached = DetachedReleases(home, Supervisor(home / "runs"))

    async def release(
        self, request: ReleaseRequest, environment: dict[str, dict[str, str]], follow: Follow
    ) -> ReleaseOutcome:
        """Put the release on the server and switch to it. A second call adopts the running or finished run.

        If a release does not become healthy, the previous one stays live: `ok` and `switched` are False, and `error`
        ends with the service's log. After `taken_ports` the next call starts again. Raises PLAYBOOK_LOST (transient)
        when the run was killed from outside or the server could not be reached.
        """
        handle, ident = request.allocation.server_handle, release_ident(request.release_id, request.task_id)
        host = await self._host_of(handle)
        order = await host.completed(_deploy(request, environment), request.repository)
        argv, given = await asyncio.gather(host.call(handle), host.input(order, request.repository))
        detached = DetachedOrder(ident, request.task_id, argv, given, request.timeout_s)
        result = await self._detached.run(detached, follow)
        if result.exit_code == NOT_THERE:
            await self._detached.stop(ident)
            await host.prepare(handle)
            result = await self._detached.run(detached, follow)
        outcome = await outcome_of(result, request, environment, self._artifacts)
        if outcome.taken_ports:
            # The same release may be started again, on another port: its run must not be adopted then.
            await self._detached.stop(ident)
        return outcome

    async def stop_release(self, request: ReleaseRequest) -> None:
        """Stop the run and its candidate; the previous release stays live, and what is unfinished is removed."""
        await self._detached.stop(release_ident(request.release_id, request.task_id))
        order = _order("abandon", request, request.release_id, request.allocation.previous_release_id)
        await self._talk(request.allocation.server_handle, order, Conversation.ask)

    async def revert(self, verdict: ReleaseVerdict, previous: DeploymentDTO | None) -> ReleaseOutcome:
        """Make `previous` live and `current` again, and remove what the failed release started.

        Without a previous release nothing of the project runs. Repeating it changes nothing.
        """
        await self._detached.stop(release_ident(verdict.release_id, verdict.task_id))
        handle = verdict.allocation.server_handle if verdict.allocation else server_of(previous)
        serves = (previous.id, previous.image) if previous else (None, None)
        order = _order("revert", verdict, verdict.release_id, *serves)
        try:
            await self._talk(handle, order, Conversation.ask)
        except OrchestratorError as error:
            if error.retryable:
                raise
            return ReleaseOutcome(ok=False, error_code=error.code.value, error=error.message)
        return ReleaseOutcome(ok=True)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        """Look at every service from outside, as its users do, and at its restarts in between: for a second, or for
        `watch_s` seconds. If none answers, once more at the address that the server has by now.
        """
        result, allocation = await self._probe(request), request.allocation
        if result.ok or result.status_code is not None:
            return result
        host = await self._host_of(allocation.server_handle)
        address = await host.public_address(allocation.server_handle, allocation.server_ip)
        if address == allocation.server_ip:
            return result
        moved = allocation.model_copy(update={"server_ip": address})
        return await self._probe(request.model_copy(update={"allocation": moved}))

    async def _probe(self, request: ProbeRequest) -> ProbeResult:
        async def looked(talk: Conversation, order: Order) -> ProbeResult:
            async def ask(step: str) -> dict[str, Any]:
                answer = await talk.ask(replace(order, steps=[step]))
                found: dict[str, Any] = answer["services" if step == "status" else step]
                return found

            outside = Outside(request, ask)
            return await (outside.watch() if request.watch_s else outside.probe())

        order = _order("status", request, request.release_id)
        return await self._talk(request.allocation.server_handle, order, looked)

    async def what_serves(self, verdict: ReleaseVerdict, releases: list[DeploymentDTO]) -> Serving:
        """Which of these releases answers at every service's public address, asked from outside as its users would.

        That nothing answers is believed only if its server does.
        """
        if verdict.allocation is None:
            return Serving(known=False)
        handle = verdict.allocation.server_handle
        try:
            host = await self._host_of(handle)
            address = await host.public_address(handle, verdict.allocation.server_ip)
            found = await seen(verdict.allocation.model_copy(update={"server_ip": address}), releases)
            if not found.answers:
                await self._talk(handle, _order("status", verdict, verdict.release_id), Conversation.ask)
        except OrchestratorError as error:
            return Serving(known=False, detail=bounded(error.message, 500))
        return found

    async def operate(
        self, request: OperationRequest, release: DeploymentDTO | None, follow: Follow
    ) -> OperationResult:
        """stop, restart or remove. Stopped stays stopped over a reboot; remove keeps data in `.removed`."""
        await follow.report([], follow.offset)
        if request.action not in _OPERATIONS:
            raise OrchestratorError(
                ErrorCode.INVALID_INPUT, f"A deployed service has no operation {request.action.value}."
            )
        image = release.image if release and request.action is DeployAction.RESTART else None
        order = _order(request.action.value, request, release.id if release else "", image=image)
        try:
            answer = await self._talk(server_of(release), order, Conversation.ask)
        except OrchestratorError as error:
            if error.retryable:
                raise
            return OperationResult(ok=False, error=error.message)
        if "ports" not in answer:
            return OperationResult(ok=True)
        url = service_url(answer["host"], answer["ports"][main_service(list(answer["ports"]))])
        return OperationResult(ok=True, url=url)

    async def restore_services(self) -> list[str]:
        """Start what should run and does not, after a reboot; returns the names of what was started.

        Also deletes the secrets of runs that ended while nobody followed them. Call it at every start of the platform.
        """
        await asyncio.to_thread(self._detached.sweep)
        return await self._restore()

    async def _talk(self, handle: str, order: Order, words: Callable[[Conversation, Order], Awaitable[Said]]) -> Said:
        """With the program there; once more when the server has to be prepared for it first."""
        host = await self._host_of(handle)
        order = await host.completed(order)
        try:
            async with conversation(await host.call(handle)) as talk:
                return await words(talk, order)
        except KitMissing:
            await host.prepare(handle)
        async with conversation(await host.call(handle)) as talk:
            return await words(talk, order)


def _order(
    step: str, project: Project, release_id: str, previous: str | None = None, image: str | None = None
) -> Order:
    of_project = (project.project_id, project.project_name)
    return Order([step], *of_project, release_id=release_id, previous=previous, image=image)


def _deploy(request: ReleaseRequest, environment: dict[str, dict[str, str]]) -> Order:
    return Order(
        steps=DEPLOY,
        project_id=request.project_id,
        project_name=request.project_name,
        release_id=request.release_id,
        commit=request.plan.commit,
        image=request.image,
        host=request.allocation.server_ip,
        services=[asdict(service) for service in released_services(request.plan, request.allocation)],
        environment=environment,
        build_timeout_s=float(request.timeout_s),
    )


async def outcome_of(
    result: DetachedResult, request: ReleaseRequest, environment: dict[str, dict[str, str]], artifacts: ArtifactStore
) -> ReleaseOutcome:
    """What the end of a release's run means; its log is kept without the secrets."""
    sensitive = list(sensitive_names(request.plan.environment))
    secrets = [secret for values in environment.values() for secret in secret_values(values, sensitive)]
    # It may have been cut at its limit.
    log = redacted_part(result.log.decode(errors="replace"), secrets)
    reference = await artifacts.put("release.log", log.encode())
    if result.answer is not None and not result.answer.get("failed"):
        image, kept = result.answer["image"] or None, result.answer.get("still_built")
        return ReleaseOutcome(ok=True, switched=True, log=reference, image=image, still_built=kept)
    code, error = _reason(result, request, log)
    taken = (result.answer or {}).get("details", {}).get("port") if code == ErrorCode.PORT_TAKEN else None
    return ReleaseOutcome(
        ok=False,
        switched=False,
        error_code=code,
        error=bounded(redacted(error, secrets), 3_900),
        log=reference,
        taken_ports=[] if taken is None else [int(taken)],
    )


def released_services(plan: DeploymentPlan, allocation: Allocation) -> list[ReleasedService]:
    port_of = ports(allocation)
    sensitive = sorted(sensitive_names(plan.environment))
    return [
        ReleasedService(
            **service.model_dump(exclude={"command"}),
            argv=service.command,
            port=port_of[service.name],
            port_names=[
                entry.name
                for entry in plan.environment
                if entry.source == "allocation" and entry.value in {None, service.name}
            ],
            sensitive=sensitive,
        )
        for service in plan.services
    ]


def release_ident(release_id: str, task_id: str) -> str:
    """One run per release and task: a rollback is another task that puts an old release in place again."""
    ident = release_run_name(release_id, task_id)
    if len(ident) <= _MAX_NAME:
        return ident
    return f"{ident[: _MAX_NAME - 17]}-{hashlib.sha256(ident.encode()).hexdigest()[:16]}"


def server_of(release: DeploymentDTO | None) -> str:
    return (release.server_handle if release else None) or LOCAL_SERVER


def _reason(result: DetachedResult, request: ReleaseRequest, log: str) -> tuple[str, str]:
    """Code and text for a person: what the failed step said, else how the run ended. `log` is without secrets."""
    if result.timed_out:
        return ErrorCode.PLAYBOOK_FAILED.value, f"The deployment took longer than {request.timeout_s} s."
    if result.answer is not None:
        code = str(result.answer["code"])
        known = code if code in _OWN_CODES else ErrorCode.PLAYBOOK_FAILED.value
        return known, f"{result.answer['step']}: {result.answer['msg']}"
    return (
        ErrorCode.PLAYBOOK_FAILED.value,
        f"The release program ended with code {result.exit_code}.\n{end_of(log, 1_500)}",
    )
