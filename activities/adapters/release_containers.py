"""The services of a release as containers of this machine's engine, all from one image. Runs on the server."""

import json
import os
import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from activities.adapters import docker_command as docker
from activities.adapters import release_directory as directory
from activities.adapters.release_directory import ProjectPlace
from activities.adapters.release_services import RAW_TAIL, Release, ReleasedService, ReleaseServices
from activities.adapters.supervision import RunAs, RunState, RunStatus
from contracts.errors import ErrorCode, OrchestratorError

PROJECT_LABEL = "orchestrator.project"
RELEASE_LABEL = "orchestrator.release"
COMMIT_LABEL = "orchestrator.commit"
_STOP_GRACE_S = 3
_START_S = 60.0
_WAIT_S = 24 * 3600.0
_ENVIRONMENT = "/run/orchestrator/environment"
_DATA = "/data"
# Variables come from a mounted file: what `docker run` is told can be read with `docker inspect` for ever.
_LOAD_ENVIRONMENT = f'set -a; . {_ENVIRONMENT}; set +a; exec "$@"'


@dataclass(frozen=True)
class ReleaseContainers(ReleaseServices):
    """`start_timeout_s` is how long a service may take, in seconds, until it answers for the first time."""

    place: ProjectPlace
    user: RunAs
    start_timeout_s: float = 30.0

    async def names(self) -> list[str]:
        label = f"label={PROJECT_LABEL}={self.place.slug}"
        return sorted((await docker.do("ps", "--all", "--filter", label, "--format", "{{.Names}}")).split())

    async def state(self, name: str) -> RunStatus:
        """`lost`: made but never started, or in a state that nobody asked for."""
        reply = await docker.ask("inspect", "--format", "[{{json .State}},{{.RestartCount}}]", name)
        if reply.absent:
            return RunStatus(name, "absent")
        state, restarts = json.loads(reply.text)
        return _status(name, state, restarts)

    async def ended(self, name: str) -> object:
        return await docker.ask("wait", name, timeout_s=_WAIT_S)

    async def tail(self, name: str) -> str:
        reply = await docker.ask("logs", "--tail", "60", name)
        return (reply.text + "\n" + reply.error)[-RAW_TAIL:]

    async def stop(self, name: str) -> None:
        # Without this it might start again while it is being stopped.
        await docker.ask("update", "--restart", "no", name)
        await docker.ask("stop", "--time", str(_STOP_GRACE_S), name)
        await docker.ask("rm", "--force", "--volumes", name)

    async def launch_live(self, name: str, release: Release, service: ReleasedService) -> None:
        options = ["--restart", "unless-stopped", "--publish", f"{release.bind}:{service.port}:{service.port}"]
        await self._launch(name, release, service, "live", self.place.data, options)

    async def launch_candidate(
        self, name: str, release: Release, service: ReleasedService, scratch: Path
    ) -> tuple[str, int]:
        await self._launch(name, release, service, "candidate", scratch, [])
        address = await docker.do("inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)
        # One that has ended already has no address; looking at it tells that, and why.
        return address or "127.0.0.1", service.port

    async def _launch(
        self, name: str, release: Release, service: ReleasedService, phase: str, data: Path, options: list[str]
    ) -> None:
        state = (await self.state(name)).state
        if state == "running":
            return
        if state != "absent":
            await self.stop(name)
        file = self._environment_file(release, service, phase)
        arguments = ["run", "--detach", "--name", name, *options, *self._labels(release, service)]
        arguments += ["--user", f"{self.user.uid}:{self.user.gid}", "--cap-drop", "ALL", "--init"]
        arguments += ["--security-opt", "no-new-privileges", "--pids-limit", "512"]
        arguments += ["--log-opt", "max-size=10m", "--log-opt", "max-file=2", "--env", f"PORT={service.port}"]
        arguments += ["--mount", f"type=bind,src={file},dst={_ENVIRONMENT},readonly"]
        arguments += ["--mount", f"type=bind,src={data},dst={_DATA}", "--entrypoint", "/bin/sh", release.image]
        reply = await docker.ask(*arguments, "-c", _LOAD_ENVIRONMENT, "sh", *service.argv, timeout_s=_START_S)
        if reply.code != 0:
            raise OrchestratorError(
                ErrorCode.PLAYBOOK_FAILED, f"Service {service.name} cannot be started: {reply.error.strip()[-1_000:]}"
            )

    def _environment_file(self, release: Release, service: ReleasedService, phase: str) -> Path:
        """`NAME='value'` lines for a shell, readable for the user of the service only."""
        values = directory.read_environment(self.place, release.release_id, service.name)
        values = {"HOME": _DATA, "LANG": "C.UTF-8"} | values
        values |= {"HOST": "0.0.0.0", "DATA_DIR": _DATA, "RELEASE_PHASE": phase}
        file = self.place.release(release.release_id) / "env" / f"{service.name}.{phase}.sh"
        text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(values.items()))
        directory.write_private(file, text)
        os.chown(file, self.user.uid, self.user.gid)
        return file

    def _labels(self, release: Release, service: ReleasedService) -> list[str]:
        labels = {
            PROJECT_LABEL: self.place.slug,
            RELEASE_LABEL: release.release_id,
            COMMIT_LABEL: release.commit,
            "orchestrator.service": service.name,
        }
        return [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]


def image_tag(place: ProjectPlace, release_id: str) -> str:
    return f"svc-{place.slug}:{release_id}"


async def has_image(image: str) -> bool:
    return (await docker.ask("image", "inspect", image)).code == 0


async def build_image(place: ProjectPlace, release_id: str, commit: str, context: Path, timeout_s: float) -> str:
    """Build from a tar archive; the image's id. Raises PLAYBOOK_FAILED with the end of the build's output."""
    labels = {PROJECT_LABEL: place.slug, RELEASE_LABEL: release_id, COMMIT_LABEL: commit}
    arguments = [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]
    # The network of the server: names of package registries resolve as they do there.
    arguments += ["--network", "host", "--force-rm", "--build-arg", f"RELEASE_ID={release_id}"]
    tag = image_tag(place, release_id)
    reply = await docker.ask("build", *arguments, "--tag", tag, "-", stdin=context, timeout_s=timeout_s)
    if reply.code != 0:
        said = f"{reply.text[-1_500:]}\n{reply.error[-1_500:]}".strip()
        raise OrchestratorError(ErrorCode.PLAYBOOK_FAILED, f"The image cannot be built:\n{said}")
    return await docker.do("image", "inspect", "--format", "{{.Id}}", tag)


async def remove_images(place: ProjectPlace, release_id: str | None = None) -> None:
    """The image of one release, or all of the project. What a container still uses stays."""
    reference = image_tag(place, release_id or "*")
    for tag in (await docker.do("images", "--format", "{{.Repository}}:{{.Tag}}", reference)).split():
        await docker.ask("image", "rm", tag)


def _status(name: str, state: dict[str, Any], restarts: int) -> RunStatus:
    known: dict[str, RunState] = {"running": "running", "restarting": "exited", "exited": "exited", "dead": "exited"}
    started = state["StartedAt"]
    return RunStatus(
        name,
        known.get(state["Status"], "lost"),
        pid=state["Pid"] or None,
        exit_code=state["ExitCode"],
        restarts=restarts,
        started_at=None if started.startswith("0001") else datetime.fromisoformat(started[:19]),
    )
