"""Backups are made on a Schedule of their own, once, and restored for comparison now and then."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError

from contracts.backups import BackupOrder, BackupOutcome
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.maintenance import MaintenancePlan
from contracts.names import WorkflowName
from runtime.settings import Settings
from runtime.temporal import background
from tests.support.eventually import eventually
from tests.support.workflows.workflow_world import World
from workers.background import regular_of

PLAN = MaintenancePlan(every_s=0.05, stretch_s=30, silent_s=0)


async def backed_up(world: World) -> BackupOutcome:
    handle: Any = await world.client.start_workflow(
        WorkflowName.BACKUP, BackupOrder(), id=f"backup-{uuid4().hex}", task_queue="orchestrator",
        result_type=BackupOutcome,
    )  # fmt: skip
    return BackupOutcome.model_validate(await handle.result())


def settings(home: Path, **chosen: Any) -> Settings:
    return Settings(home=home, backup_repository="/backups", backup_password_file=home / "password", **chosen)


async def test_a_run_makes_one_backup_and_restores_it_only_when_that_is_due(world: World) -> None:
    assert (await backed_up(world)).verified is None
    assert world.backups.verified == []
    world.backups.verify_due = True
    outcome = await backed_up(world)
    assert outcome.verified is not None
    assert outcome.verified.projects == 2
    assert world.backups.verified == ["0123abcd"]
    assert len(set(world.backups.made)) == 2, "each run makes a backup of its own"


async def test_a_repetition_asks_for_the_same_backup(world: World) -> None:
    away = OrchestratorError(ErrorCode.BACKUP_UNREACHABLE, "It does not answer.", error_class=ErrorClass.UPSTREAM)
    world.backups.errors = [away, OrchestratorError.transient(ErrorCode.BACKUP_RUNNING, "Another one is being made.")]
    await backed_up(world)
    assert len(world.backups.made) == 3
    assert len(set(world.backups.made)) == 1


async def test_a_backup_that_cannot_be_restored_fails_the_run_with_its_code(world: World) -> None:
    world.backups.verify_due = True
    handle = await world.client.start_workflow(
        WorkflowName.BACKUP, BackupOrder(), id=f"backup-{uuid4().hex}", task_queue="orchestrator"
    )
    world.backups.errors = [OrchestratorError(ErrorCode.BACKUP_DAMAGED, "The artifacts are others.")]
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert isinstance(failure.value.cause, ActivityError)
    assert isinstance(failure.value.cause.cause, ApplicationError)
    assert failure.value.cause.cause.type == ErrorCode.BACKUP_DAMAGED


async def test_the_schedule_is_there_once_and_only_where_there_is_a_repository(world: World, tmp_path: Path) -> None:
    wanted = regular_of(settings(tmp_path, backup_every_h=6))
    for _ in range(3):
        assert await background.ensure(world.client, PLAN, wanted) == ["maintenance", "housekeeping", "backup"]
    await asyncio.gather(*(background.ensure(world.client, PLAN, wanted) for _ in range(3)))
    await eventually(lambda: are_scheduled(world.client, "backup", "housekeeping"), 15)
    found = (await world.client.get_schedule_handle("backup").describe()).schedule
    assert [one.every for one in found.spec.intervals] == [timedelta(hours=6)]
    assert found.policy.catchup_window == timedelta(hours=6), "one that was missed is made once"
    for _ in range(2):
        assert await background.ensure(world.client, PLAN, regular_of(Settings(home=tmp_path))) == [
            "maintenance", "housekeeping",
        ]  # fmt: skip
    with pytest.raises(RPCError, match="not found"):
        await world.client.get_schedule_handle("backup").describe()
    await world.client.get_schedule_handle("housekeeping").delete()


def test_no_part_of_compose_sees_everything(tmp_path: Path) -> None:
    assert [one.workflow for one in regular_of(settings(tmp_path, stack="compose"))] == ["housekeeping"]


async def are_scheduled(client: Client, *names: str) -> bool:
    """Lists know of a new Schedule a moment later."""
    return sorted([one.id async for one in await client.list_schedules()]) == sorted(names)
