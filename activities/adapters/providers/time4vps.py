"""Time4VPS: virtual machines that it installs anew, and whose passwords it makes up.

An order starts a task there. Its number is lost when the answer is an error, as it is now and then although the task
has begun. So an order looks before it asks, and again after an error: a task of its kind that began later than the
machine's newest one at planning time is its own. All times are those of Time4VPS's clock.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from activities.adapters.providers.passwords import password_of
from activities.adapters.providers.time4vps_api import Time4VpsApi, busy, unreadable
from activities.ports import Progress
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.servers.providers import MachineRef, ProviderAction, ProviderMachine, ProviderOrder
from contracts.states import ProviderActionKind, ProviderActionState, ProviderKind

_TASKS = {
    ProviderActionKind.REINSTALL: "server_recreate",
    ProviderActionKind.RESET_PASSWORD: "server_reset_password",
}
_ROUTES = {ProviderActionKind.REINSTALL: "reinstall", ProviderActionKind.RESET_PASSWORD: "resetpassword"}
_SINCE = "since:"
"""Before a time in the id of an action whose number was lost: the task that began then."""
_FAILED = re.compile(r"\b(error|failed|failure|unable|could not)\b", re.IGNORECASE)


class _Answer(BaseModel):
    """Of Time4VPS, which adds fields as it likes and sends numbers as texts here and there."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, coerce_numbers_to_str=True)


Answer = TypeVar("Answer", bound=_Answer)


class _Task(_Answer):
    """Times are empty until they come. `results` may hold a password."""

    name: str = ""
    activated: str | None = ""
    completed: str | None = ""
    results: str | None = Field(default="", repr=False)

    @property
    def began(self) -> datetime | None:
        return _time(self.activated)


class _Machine(_Answer):
    domain: str = ""
    label: str | None = ""
    ip: str | None = ""
    status: str = ""
    cpu_cores: int = 0
    ram_limit: int = 0
    disk_limit: int = 0
    os: str | None = ""
    active_task: _Task | None = None
    last_tasks: list[_Task] = Field(default_factory=list)

    @field_validator("active_task", mode="before")
    @classmethod
    def _no_task(cls, value: object) -> object:
        return value or None  # an empty list, where nothing is active

    @field_validator("last_tasks", mode="before")
    @classmethod
    def _no_tasks(cls, value: object) -> object:
        return value or []

    @property
    def tasks(self) -> list[_Task]:
        """Oldest first, the active one last."""
        known = sorted(self.last_tasks, key=lambda task: task.began or _BEFORE_ALL)
        return [*known, self.active_task] if self.active_task else known


class _Listed(_Answer):
    server_id: str
    domain: str = ""
    ip: str | None = ""


class _Service(_Answer):
    total: str = ""
    billingcycle: str = ""


_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Time4VpsMachines:
    api: Time4VpsApi

    async def machines(self) -> list[ProviderMachine]:
        found = await self.api.get("/server")
        listed = [_read(_Listed, one) for one in found] if isinstance(found, list) else [_read(_Listed, found)]
        return [
            ProviderMachine(
                ref=MachineRef(
                    provider=ProviderKind.TIME4VPS, server_handle=f"vps-{one.server_id}", machine_id=one.server_id
                ),
                name=one.domain,
                public_ip=one.ip or "",
                can=list(_TASKS),
            )
            for one in listed
        ]

    async def machine(self, ref: MachineRef) -> ProviderMachine:
        found = await self._machine(ref)
        newest = max((task.began for task in found.tasks if task.began), default=None)
        return ProviderMachine(
            ref=ref,
            name=found.domain,
            public_ip=found.ip or "",
            is_active=found.status.lower() == "active",
            cpu_cores=found.cpu_cores,
            ram_mb=found.ram_limit,
            disk_mb=found.disk_limit,
            image=found.os or "",
            price=await self._price(ref),
            busy_with=found.active_task.name if found.active_task else "",
            last_action_at=newest,
            can=list(_TASKS),
        )

    async def order(self, order: ProviderOrder) -> ProviderAction:
        if order.kind not in _ROUTES:
            raise OrchestratorError(
                ErrorCode.PROVIDER_CANNOT,
                f"The platform gives up no machine of Time4VPS: it is paid for. Cancel {order.ref.server_handle} in "
                "its client area.",
            )
        machine = await self._machine(order.ref)
        if (own := _begun_by(order, machine)) is not None:
            return own
        if machine.active_task is not None:
            raise busy(f"Time4VPS is doing {machine.active_task.name} with {order.ref.server_handle}")
        if order.price is not None and (now := await self._price(order.ref)) != order.price:
            raise OrchestratorError(
                ErrorCode.PROVIDER_PRICE_CHANGED,
                f"{order.ref.server_handle} costs {now} now, and {order.price} was approved. Make the plan again.",
            )
        return await self._begin(order, machine)

    async def _begin(self, order: ProviderOrder, machine: _Machine) -> ProviderAction:
        body = {"os": order.image or machine.os or ""} if order.kind is ProviderActionKind.REINSTALL else {}
        if order.kind is ProviderActionKind.REINSTALL and order.ssh_key:
            body["ssh_key"] = order.ssh_key
        try:
            answer = await self.api.post(f"/server/{order.ref.id_there}/{_ROUTES[order.kind]}", body)
        except OrchestratorError as error:
            if error.error_class is not ErrorClass.UPSTREAM or error.code is ErrorCode.PROVIDER_THROTTLED:
                raise
            if (own := _begun_by(order, await self._machine(order.ref))) is None:
                raise
            return own
        number = answer.get("task_id") if isinstance(answer, dict) else None
        if number is None:
            raise unreadable()
        return _action(order, str(number))

    async def progress(self, action: ProviderAction) -> Progress:
        task = await self._task(action)
        if not task.completed:
            return Progress(ProviderActionState.RUNNING, f"{task.name or _TASKS[action.kind]} at Time4VPS")
        password = password_of(task.results or "")
        if password is None and _FAILED.search(task.results or ""):
            # Not its own words: nobody knows what stands in them.
            return Progress(ProviderActionState.FAILED, f"Time4VPS has ended {_TASKS[action.kind]} with an error")
        return Progress(ProviderActionState.DONE, f"{_TASKS[action.kind]} has ended at Time4VPS", password)

    async def _task(self, action: ProviderAction) -> _Task:
        if not action.action_id.startswith(_SINCE):
            return _read(_Task, await self.api.get(f"/server/{action.ref.id_there}/task/{action.action_id}"))
        began = _time(action.action_id.removeprefix(_SINCE))
        machine = await self._machine(action.ref)
        found = [task for task in machine.tasks if task.name == _TASKS[action.kind] and task.began == began]
        if not found:
            raise OrchestratorError(ErrorCode.NOT_FOUND, "Time4VPS does not show this task any more.")
        return found[-1]

    async def _machine(self, ref: MachineRef) -> _Machine:
        return _read(_Machine, await self.api.get(f"/server/{ref.id_there}"))

    async def _price(self, ref: MachineRef) -> str:
        """What it costs and how often that is due; a machine is a service of the same number."""
        answer = await self.api.get(f"/service/{ref.id_there}")
        service = _read(_Service, answer.get("service") if isinstance(answer, dict) else None)
        return f"{service.total} {service.billingcycle.lower()}".strip()


def _begun_by(order: ProviderOrder, machine: _Machine) -> ProviderAction | None:
    """The task that this order has begun already, as far as can be seen."""
    after = order.after or _BEFORE_ALL
    for task in reversed(machine.tasks):
        if task.name == _TASKS[order.kind] and task.began is not None and task.began > after:
            return _action(order, f"{_SINCE}{task.began.isoformat()}")
    return None


def _action(order: ProviderOrder, action_id: str) -> ProviderAction:
    return ProviderAction(ref=order.ref, kind=order.kind, order_id=order.order_id, action_id=action_id)


def _time(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _read(model: type[Answer], document: object) -> Answer:
    try:
        return model.model_validate(document)
    except ValidationError:
        raise unreadable() from None
