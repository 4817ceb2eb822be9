"""What the release program answers when its machine has no room."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, cast

import pytest

from activities.adapters.playbooks.detached import reported
from activities.adapters.release import program
from activities.adapters.release.containers import ReleaseContainers
from activities.adapters.release.directory import ProjectPlace
from activities.adapters.release.order import Order
from activities.adapters.release.processes import ReleaseProcesses
from activities.adapters.release.services import ReleaseServices
from contracts.errors import OWN_OUTAGES


class Services:
    """Writes nothing any more."""

    takes_over = False
    user = None

    def __init__(self, kind: type[ReleaseServices], number: int) -> None:
        self.disk_full, self.number = kind.disk_full, number

    async def stop_project(self) -> None:
        raise OSError(self.number, "no room", "/srv/blog/context.tar")


async def answer(tmp_path: Path, kind: type[ReleaseServices], number: int) -> dict[str, Any]:
    order = Order(steps=["stop"], project_id="p-1", project_name="blog", services_dir=str(tmp_path))

    def services_of(_order: Order, _place: ProjectPlace) -> ReleaseServices:
        return cast("ReleaseServices", cast("Any", Services(kind, number)))

    return await program._answer(order, services_of)


@pytest.mark.parametrize("kind", [ReleaseContainers, ReleaseProcesses])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_is_waited_for_and_named(tmp_path: Path, kind: type[ReleaseServices], number: int) -> None:
    error = reported(await answer(tmp_path, kind, number))
    assert error.code in OWN_OUTAGES, "a deploy waits as long as it lasts"
    assert error.retryable
    assert "/srv/blog/context.tar" in error.message


async def test_another_error_of_the_system_is_no_full_disk(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no room"):
        await answer(tmp_path, ReleaseContainers, errno.EIO)
