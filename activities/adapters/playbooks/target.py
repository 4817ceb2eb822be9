"""What every target that Ansible deploys to has in common: idents, what a run's end means, the probe from outside."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from activities.adapters.playbooks.runner import PlaybookResult
from activities.adapters.release.probe import Expectation, look, url_host
from activities.adapters.release.services import ReleasedService, secret_values
from activities.adapters.runs.states import RunStatus
from activities.ports import ArtifactStore
from activities.rules_environment import sensitive_names
from contracts.errors import ErrorCode, OrchestratorError, bounded
from contracts.ids import playbook_ident
from contracts.redaction import redacted, redacted_part
from contracts.steps import (
    Allocation,
    DeploymentPlan,
    OperationResult,
    ProbeRequest,
    ProbeResult,
    ReleaseOutcome,
    ReleaseRequest,
)

_LOOKS = 3
_LOOK_EVERY_S = 0.3
_MAX_NAME = 150

StatusOf = Callable[[str], Awaitable[RunStatus]]
"""How a service of the release fares on its server."""


async def outcome_of(
    result: PlaybookResult, request: ReleaseRequest, environment: dict[str, dict[str, str]], artifacts: ArtifactStore
) -> ReleaseOutcome:
    """What the end of a release's playbook means; its log is kept without the secrets."""
    sensitive = list(sensitive_names(request.plan.environment))
    secrets = [secret for values in environment.values() for secret in secret_values(values, sensitive)]
    # It may have been cut at its limit.
    log = redacted_part(result.log.decode(errors="replace"), secrets)
    reference = await artifacts.put("playbook.log", log.encode())
    if result.ok:
        return ReleaseOutcome(ok=True, switched=True, log=reference, image=result.image)
    code, error = _reason(result, request, log)
    return ReleaseOutcome(
        ok=False, switched=False, error_code=code, error=bounded(redacted(error, secrets), 3_900), log=reference
    )


async def reverted(work: Awaitable[object]) -> ReleaseOutcome:
    """The outcome of returning to an earlier release; what may be tried again is raised."""
    try:
        await work
    except OrchestratorError as error:
        if error.retryable:
            raise
        return ReleaseOutcome(ok=False, switched=False, error_code=error.code.value, error=error.message)
    return ReleaseOutcome(ok=True, switched=False)


async def operated(work: Awaitable[str | None]) -> OperationResult:
    """The result of an operation that ends with the project's URL, if it has one then."""
    try:
        return OperationResult(ok=True, url=await work)
    except OrchestratorError as error:
        if error.retryable:
            raise
        return OperationResult(ok=False, error=error.message)


async def probe_release(request: ProbeRequest, status_of: StatusOf) -> ProbeResult:
    """Look at every service several times from outside, as its users do, and at its restarts in between."""
    ports = {item.service: item.port for item in request.allocation.ports}
    probes = [_Probe(request, service.name, ports[service.name], status_of).run(
        Expectation(service.health_path, service.health_contains, request.release_id)
    ) for service in request.plan.services]  # fmt: skip
    results = await asyncio.gather(*probes)
    url = service_url(request.allocation.server_ip, ports[main_service([item.name for item in request.plan.services])])
    failed = next((result for result in results if not result.ok), None)
    if failed is not None:
        return failed.model_copy(update={"url": url})
    return ProbeResult(ok=True, url=url, status_code=200)


@dataclass(frozen=True)
class _Probe:
    request: ProbeRequest
    service: str
    port: int
    status_of: StatusOf

    async def run(self, expected: Expectation) -> ProbeResult:
        host = self.request.allocation.server_ip
        first = await self.status_of(self.service)
        url, status_code, error = service_url(host, self.port), None, None
        for number in range(_LOOKS):
            await asyncio.sleep(_LOOK_EVERY_S if number else 0)
            answer = await look(host, self.port, expected)
            status_code, error = answer.status_code, answer.error
            if error is not None:
                break
        last = await self.status_of(self.service)
        if last.state != "running" or (last.pid, last.restarts) != (first.pid, first.restarts):
            error = f"its process restarted or ended while it was watched ({error or last.state})"
        if error is not None:
            error = bounded(f"{self.service} at {url}: {error}", 1_900)
        return ProbeResult(ok=error is None, url=url, status_code=status_code, restarts=last.restarts, error=error)


def released_services(plan: DeploymentPlan, allocation: Allocation) -> list[ReleasedService]:
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


def release_ident(release_id: str, task_id: str) -> str:
    """One playbook per release and task: a rollback is another task that starts an old release again."""
    ident = playbook_ident(release_id, task_id)
    if len(ident) <= _MAX_NAME:
        return ident
    return f"{ident[: _MAX_NAME - 17]}-{hashlib.sha256(ident.encode()).hexdigest()[:16]}"


def main_service(names: list[str]) -> str:
    """Whose address is the project's."""
    return "backend" if "backend" in names else names[0]


def service_url(host: str, port: int) -> str:
    return f"http://{url_host(host)}:{port}"


def _reason(result: PlaybookResult, request: ReleaseRequest, log: str) -> tuple[str, str]:
    """Code and text for a person: what the failed task said, else how the playbook ended. `log` is without secrets."""
    if result.timed_out:
        return ErrorCode.PLAYBOOK_FAILED.value, f"The deployment took longer than {request.timeout_s} s."
    if result.failure.get("code"):
        code = str(result.failure["code"])
        known = code if code == ErrorCode.PROBE_FAILED.value else ErrorCode.PLAYBOOK_FAILED.value
        return known, f"{result.task}: {result.failure['msg']}"
    return ErrorCode.PLAYBOOK_FAILED.value, f"The playbook ended with code {result.exit_code}.\n{log[-1_500:]}"
