"""What is said of new services after a start of the Temporal worker: where they go, however the servers are now."""

from pathlib import Path

import pytest

from runtime.runtime_report import RuntimeReport
from runtime.settings import Settings
from workers.__main__ import _report_runtime
from workers.local import Choice


@pytest.mark.parametrize(
    ("in_containers", "server", "services"),
    [
        (True, None, "containers"),
        (False, None, "processes"),
        (False, "deploy@elsewhere", "containers"),
        (True, "deploy@elsewhere", "containers"),
    ],
)
async def test_new_services_go_where_the_choice_says(
    tmp_path: Path, in_containers: bool, server: str | None, services: str
) -> None:
    settings = Settings(home=tmp_path, server=server)
    for start in ("first", "second"):
        await _report_runtime(settings, Choice(in_containers, f"the {start} start"))
        report = RuntimeReport.read(settings.runtime_report_file)
        assert report is not None
        assert (report.services, report.reason) == (services, f"the {start} start")
