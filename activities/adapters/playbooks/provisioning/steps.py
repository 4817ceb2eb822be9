"""Carries out the steps of provisioning: each is a detached run of a playbook, created or adopted by its name."""

import hashlib
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from activities.adapters.containers.command import run_program
from activities.adapters.playbooks.detached import DetachedOrder, DetachedReleases, DetachedResult, reported
from activities.adapters.playbooks.provisioning.play import PASSWORD_FILE, Play
from activities.adapters.servers.first_login import FirstLogin
from activities.adapters.servers.remote_shell import KEPT_CONNECTION, ServerAccess, ansible_words, run_on, ssh_options
from activities.ports import Follow
from contracts.errors import ErrorCode, OrchestratorError, end_of
from contracts.servers.provisioning import (
    PROVISION_STEPS,
    MachineFacts,
    ProvisionSettings,
    ProvisionStep,
    ProvisionStepRequest,
    ProvisionStepResult,
)

_STEPS = {step.name: step for step in PROVISION_STEPS}
_MAX_NAME = 150
_MODULE = "activities.adapters.playbooks.provisioning.play"


@dataclass(frozen=True)
class PlaybookProvisioning:
    """Implements `Provisioning`. `home` is the state directory of the platform.

    `access` tells how a server is reached as the platform's own user, `first_login` how its provider lets us in (None
    where nobody knows any more).
    """

    home: Path
    detached: DetachedReleases
    access: Callable[[str], Awaitable[ServerAccess]]
    first_login: Callable[[str], Awaitable[FirstLogin | None]]

    async def carry_out(self, request: ProvisionStepRequest, follow: Follow) -> ProvisionStepResult:
        """Run the step's playbook to its end. A second call of the same request adopts the running or finished run.

        Raises OrchestratorError with the step's code: transient when a task failed that may succeed another time (the
        next call starts again), permanent when the machine is not as it has to be. SERVER_UNREACHABLE and PLAYBOOK_LOST
        (both transient) as every detached run.
        """
        step = _STEPS[request.step]
        order = await self._order(step, request)
        result = await self.detached.run(order, follow)
        return _result(step, result)

    async def stop(self, request: ProvisionStepRequest) -> None:
        """Stop the step's playbook, if it runs. What a package manager has begun on the machine goes on there, and the
        next run waits for it. Repeatable."""
        await self.detached.stop(run_name(request))

    async def _order(self, step: ProvisionStep, request: ProvisionStepRequest) -> DetachedOrder:
        access = await self.access(request.server_handle)
        _refuse_root(access)
        name = run_name(request)
        place = self.home / "playbooks" / name
        host, password = await self._host(step, access, place)
        variables = _variables(request.settings, access)
        if step.name == "access":
            variables |= await _keys(access)
        play = Play(step.playbook, str(place), host, variables, step.error_code, password)
        argv = [sys.executable, "-P", "-m", _MODULE]
        return DetachedOrder(name, request.task_id, argv, json.dumps(asdict(play)).encode(), step.timeout_s)

    async def _host(
        self, step: ProvisionStep, access: ServerAccess, place: Path
    ) -> tuple[dict[str, str | int | bool], str | None]:
        """The machine to Ansible, and the password of who logs in.

        The provider's login is for a machine that does not yet let the platform's own user in: once it does, root is
        refused.
        """
        if step.name == "access" and not await _lets_in(access):
            first = await self.first_login(access.handle)
            if first is not None:
                return first.inventory(place / PASSWORD_FILE), first.password
        return access.inventory() | {"ansible_ssh_args": _ssh_words(access)}, None


def run_name(request: ProvisionStepRequest) -> str:
    """One run for each step of an attempt of a task."""
    name = f"provision-{request.server_handle}-{request.task_id}-{request.attempt}-{request.step}"
    if len(name) <= _MAX_NAME:
        return name
    return f"{name[: _MAX_NAME - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


async def _lets_in(access: ServerAccess) -> bool:
    try:
        return (await run_on(access, "true", timeout_s=30)).code == 0
    except OrchestratorError as error:
        if error.code is not ErrorCode.SERVER_UNREACHABLE:
            raise
        return False


def _refuse_root(access: ServerAccess) -> None:
    if access.user == "root":
        raise OrchestratorError(
            ErrorCode.INVALID_INPUT,
            f"The server {access.handle} is reached as root, whose login provisioning refuses. Register it with "
            "another user: provisioning makes that user.",
        )


async def _keys(access: ServerAccess) -> dict[str, Any]:
    """What the playbook of access needs besides: whom to let in, and how that user logs in."""
    reply = await run_program(["ssh-keygen", "-y", "-f", str(access.key_file)])
    if reply.code != 0:
        said = end_of(reply.error.strip(), 300)
        raise OrchestratorError(ErrorCode.NOT_FOUND, f"The key of the platform cannot be read: {said}")
    return {
        "access_public_keys": [reply.text.strip()],
        "access_ssh_args": _ssh_words(access),
        "access_key_file": str(access.key_file),
    }


def _ssh_words(access: ServerAccess) -> str:
    return ansible_words(ssh_options(access.known_hosts_file, **KEPT_CONNECTION))


def _variables(settings: ProvisionSettings, access: ServerAccess) -> dict[str, Any]:
    return {
        "access_user": access.user,
        "base_hostname": settings.hostname,
        "base_time_zone": settings.time_zone,
        "base_swap_mb": settings.swap_mb,
        "base_upgrade": settings.upgrade,
        "front_door_ports": ["80/tcp", "443/tcp", f"{settings.port_from}:{settings.port_to}/tcp"],
        "packages_cache_valid_s": settings.cache_valid_s,
        "verify_time_zone": settings.time_zone,
        "verify_user": access.user,
    }


def _result(step: ProvisionStep, result: DetachedResult) -> ProvisionStepResult:
    """Raises what the end of the run means if that is no success."""
    if result.timed_out:
        reason = f"The step {step.name} took longer than {step.timeout_s} s."
        raise OrchestratorError(step.error_code, reason)
    if result.answer is None:
        said = end_of(result.log.decode(errors="replace").strip(), 1_000)
        raise OrchestratorError(step.error_code, f"The step {step.name} ended with {result.exit_code}: {said}")
    if result.answer["failed"]:
        raise reported(result.answer)
    try:
        facts = result.answer["facts"] and MachineFacts.model_validate(result.answer["facts"])
        return ProvisionStepResult(changed=result.answer["changed"], facts=facts)
    except ValidationError:
        raise OrchestratorError(step.error_code, "What the machine says of itself cannot be read.") from None
