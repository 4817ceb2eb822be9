"""The packages of a project as a volume, shared by all that have the same requirements.

A container of its own builds it, with the network and nothing but the requirement files (wheels only, plain names
only); those who use it cannot write to it. The container stays: its exit code says that the volume is whole, for every
installation that uses this engine.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from activities.adapters.containers.agent import AGENTS_NETWORK
from activities.adapters.containers.engine import Bind, ContainerSpec, Limits
from activities.adapters.containers.installer_access import installer_access
from activities.adapters.containers.runs import ContainerRuns, Contents, RunOutput, archive_of
from activities.adapters.packages.pip_settings import secrets_in
from activities.adapters.packages.requirements_check import plain_lines
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.follower import LineFollower
from activities.adapters.runs.states import RunStatus
from activities.adapters.verification.steps import MAX_LOG, SETUP_TIMEOUT_S, beats_only, setup_failure
from activities.ports import Follow
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.redaction import redacted

KIND_LABEL = "codegen-orchestrator.kind"
_PROJECT = "/project"
_VENV = "/venv"
_HOME = "/home/worker"
# The plain files are made by us of the project's own, which give the stamp its name.
_BUILD = """
python3 -m venv --without-pip /venv
set --
for file in plain-requirements.txt plain-requirements-dev.txt; do
  if [ -s "$file" ]; then set -- "$@" -r "$file"; fi
done
if [ $# -gt 0 ]; then
  if grep -q -e --hash= plain-*.txt; then export UV_CONSTRAINT=; set -- "$@" --require-hashes; fi
  uv pip install --quiet --no-config --cache-dir /venv/.uv --link-mode hardlink --compile-bytecode \\
    --python /venv/bin/python --only-binary :all: "$@"
  rm -rf /venv/.uv "$HOME/.installer"
fi
touch "/venv/.ready-$(cat requirements.txt requirements-dev.txt 2>/dev/null | cksum | cut -d' ' -f1)"
"""


class PackageVolumes:
    """`locks_dir` is where builders of the same volume wait for each other: one for all that use an engine."""

    def __init__(
        self,
        runs: ContainerRuns,
        locks_dir: Path,
        limits: Limits | None = None,
        network: str = AGENTS_NETWORK,
    ) -> None:
        self._runs = runs
        self._engine = runs.engine
        self._locks_dir = locks_dir
        self._limits = limits or Limits()
        self._network = network

    async def ready(self, image: str, files: list[Path], labels: dict[str, str], follow: Follow) -> str:
        """The name of the volume, to be mounted at /venv of `image`. `labels` name who waits for it, so that they can
        stop it.

        Raises `Refused` for packages that cannot be installed, PROCESS_FAILED (transient) when they cannot be had.
        """
        content = {file.name: file.read_bytes() for file in files}
        content |= {f"plain-{file.name}": "\n".join([*plain_lines(file), ""]).encode() for file in files}
        name = f"venv-{_key(image, content)}"
        async with self._locked(name):
            if (await self._runs.status(name)).state == "lost" or not await self._engine.volume_exists(name):
                # Removed from outside. The engine would give the tests an empty volume of that name.
                await self._forget(name)
            status, output = await self._build(labels, name, image, content, follow)
            if status.state == "exited" and status.exit_code == 0 and not status.stopped:
                return name
            await self._forget(name)
        if status.stopped:
            raise _setup_stopped()
        raise setup_failure(status, output)

    async def stop(self, labels: dict[str, str]) -> None:
        """Stop what was begun with these labels."""
        for one in self._runs.names({**labels, KIND_LABEL: "setup"}):
            await self._runs.stop(one)

    async def _forget(self, name: str) -> None:
        """Remove a build and its volume; a volume without a finished build is never used."""
        await self._runs.remove(name)
        await self._engine.remove_volume(name)

    async def _build(
        self, labels: dict[str, str], volume: str, image: str, content: dict[str, bytes], follow: Follow
    ) -> tuple[RunStatus, str]:
        known = await self._runs.status(volume)
        if known.state == "exited" and known.exit_code == 0:
            return known, ""
        access = await installer_access(_HOME)
        await self._engine.ensure_network(self._network)
        await self._engine.ensure_volume(volume, {KIND_LABEL: "venv"})
        spec = ContainerSpec(
            volume,
            image,
            ["sh", "-ec", _BUILD],
            # Services of the project are for its turns and tests; nothing of it runs where there is a network.
            environment={"HOME": _HOME, "TMPDIR": "/tmp", "LANG": "C.UTF-8", "ORCHESTRATOR_SERVICES": ""},
            working_dir=_PROJECT,
            binds=(Bind(volume, _VENV), *access.binds),
            network=self._network,
            labels={**labels, KIND_LABEL: "setup"},
            limits=self._limits,
        )

        async def fill() -> None:
            await self._engine.put_archive(volume, _PROJECT, archive_of(content))
            await self._engine.put_archive(volume, _HOME, archive_of(access.files, folders=True))

        await self._runs.start(spec, SETUP_TIMEOUT_S, Contents(fill, variables=access.environment))
        async with self._runs.output(volume) as output:
            status, text = await _ended(output, volume, follow)
        # uv quotes the URLs of an index, which may hold a password.
        return status, redacted(text, secrets_in(access.environment))

    def _locked(self, name: str) -> AbstractAsyncContextManager[object]:
        return file_lock(self._locks_dir / f"{name}.lock")


async def _ended(output: RunOutput, name: str, follow: Follow) -> tuple[RunStatus, str]:
    status, _ = await LineFollower(output, beats_only(follow), name, "", "").follow(name, lambda _: [])
    content, _ = output.read_output(name, 0, MAX_LOG)
    return status, content.decode(errors="replace")


def _key(image: str, content: dict[str, bytes]) -> str:
    digest = hashlib.sha256(f"{image}\n".encode())
    for name, text in sorted(content.items()):
        digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()[:20]


def _setup_stopped() -> OrchestratorError:
    """Whoever asked for the stop cancels their own work; another project that needs the same packages only has to try
    again."""
    return OrchestratorError(
        ErrorCode.PROCESS_FAILED,
        "The installation of packages was stopped by another task; it will be started again.",
        error_class=ErrorClass.TRANSIENT,
    )
