"""The steps of `deploy_process.yml`, each on an order file that the platform has written with mode 0600."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from activities.adapters.packages.venv_cache import ensure_venv
from activities.adapters.release import directory
from activities.adapters.release.directory import ProjectPlace
from activities.adapters.release.processes import ReleaseProcesses
from activities.adapters.release.services import ReleasedService, load_release
from activities.adapters.runs.states import RunAs

REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True)
class ReleaseOrder:
    """What to put where. `argv` of a service still has its `{python}`; `environment_file` holds secret values."""

    release_id: str
    commit: str
    git_dir: str
    place: str
    runs_dir: str
    venvs_dir: str
    environment_file: str
    host: str
    bind: str
    services: list[dict[str, Any]]
    start_timeout_s: float
    user: dict[str, int] | None = None

    @property
    def project(self) -> ProjectPlace:
        return ProjectPlace(Path(self.place))

    @property
    def processes(self) -> ReleaseProcesses:
        user = RunAs(**self.user) if self.user else None
        return ReleaseProcesses(Path(self.runs_dir), self.project, self.start_timeout_s, user)


def run(step: str, order_file: str) -> bool:
    """Do one step under the project's lock; whether it changed anything. Raises OrchestratorError."""
    order = ReleaseOrder(**json.loads(Path(order_file).read_text()))
    with directory.changing(order.project):
        return STEPS[step](order)


def _checkout(order: ReleaseOrder) -> bool:
    return directory.check_out(order.project, Path(order.git_dir), order.commit, order.release_id)


def _install(order: ReleaseOrder) -> bool:
    """Build the environment or take it from the cache; then the release directory is complete."""
    requirements = order.project.release(order.release_id) / "app" / REQUIREMENTS
    files = [requirements] if requirements.is_file() else []
    venv = ensure_venv(files, Path(order.venvs_dir), sys.executable)
    services = [ReleasedService(**service) for service in order.services]
    manifest = {
        "release_id": order.release_id,
        "commit": order.commit,
        "host": order.host,
        "bind": order.bind,
        "venv": str(venv),
        "services": [_resolved(service, venv) for service in services],
    }
    changed = directory.read_manifest(order.project, order.release_id) != manifest
    if changed:
        directory.finish_release(order.project, order.release_id, manifest)
    return changed


def _resolved(service: ReleasedService, venv: Path) -> dict[str, Any]:
    python = str(venv / "bin" / "python")
    argv = [argument.replace("{python}", python) for argument in service.argv]
    return asdict(service) | {"argv": argv}


def _environment(order: ReleaseOrder) -> bool:
    environment: dict[str, dict[str, str]] = json.loads(Path(order.environment_file).read_text())
    for service, values in environment.items():
        directory.write_environment(order.project, order.release_id, service, values)
    return True


def _candidate(order: ReleaseOrder) -> bool:
    asyncio.run(order.processes.try_candidate(load_release(order.project, order.release_id)))
    return False


def _switch(order: ReleaseOrder) -> bool:
    asyncio.run(order.processes.switch(load_release(order.project, order.release_id)))
    return True


STEPS: dict[str, Callable[[ReleaseOrder], bool]] = {
    "checkout": _checkout,
    "install": _install,
    "environment": _environment,
    "candidate": _candidate,
    "switch": _switch,
}
