"""A project's environment as layers: packages with the network, set-up steps without it. Cached by content.

What runs with the network is the platform's installers, with plain names of packages only. The steps are code of the
project: they run as an agent's turn does, as its user, without a capability and bounded.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shlex
import time
from pathlib import Path

from activities.adapters.containers.images.builder import ImageBuilder
from activities.adapters.containers.images.layers import REPOSITORY, Layer, Source
from activities.adapters.containers.images.recipes import text_of
from activities.adapters.containers.images.trial import Trial, tried
from activities.adapters.packages import pip_settings
from activities.adapters.packages.environment_file import Environment, environment_failed
from activities.adapters.packages.registry_access import registry_trouble, settings_for_uv
from activities.adapters.runs.file_lock import file_lock
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, end_of
from contracts.redaction import redacted

SETUP_S = 900.0
_KEPT = 12
"""Environments of projects that are kept beside each other, by each step of their making."""
_REMEMBERED_S = 600.0
"""So long a failure counts without another try."""
_MAX_EVIDENCE = 3_000
_NO_PACKAGE = re.compile(r"Unable to locate package|has no installation candidate|Version '.*' for '.*' was not found|"
                         r"held broken packages|unmet dependencies")  # fmt: skip
_SERVICES: dict[str, tuple[str, dict[str, str]]] = {
    "postgresql": ("postgresql", {"TEST_POSTGRESQL_URL": "postgresql://worker@127.0.0.1:5432/postgres"}),
    "redis": ("redis-server redis-tools", {"TEST_REDIS_URL": "redis://127.0.0.1:6379/0"}),
}
"""Of each service: packages of Debian, and variables with which programs find it."""
_STEP = "environment step "
_TOLD_TO_END, _MADE_TO_END = 124, 137


class EnvironmentBuilder:
    """`locks_dir`: where builders wait for each other, and failures are remembered for some minutes."""

    def __init__(self, builder: ImageBuilder, locks_dir: Path) -> None:
        self._builder = builder
        self._locks_dir = locks_dir

    async def ensure(self, parent: str, environment: Environment) -> str:
        """The tag of `parent` with the environment. Raises ENVIRONMENT_FAILED, or PROCESS_FAILED (transient)."""
        if environment.is_empty:
            return parent
        layers = await asyncio.to_thread(_package_layers, environment)
        installed = await self._installed(parent, layers) if layers else parent
        return await self._set_up(installed, environment.file.setup) if environment.file.setup else installed

    async def _installed(self, parent: str, layers: list[Layer]) -> str:
        try:
            return await self._builder.ensure(layers, parent)
        except OrchestratorError as error:
            said = str(error.details.get("output", ""))
            if error.code is not ErrorCode.PROCESS_FAILED or not _is_wrong(said):
                raise
            raise environment_failed(
                "a package that it names cannot be installed.", await asyncio.to_thread(_shareable, said)
            ) from None

    async def _set_up(self, parent: str, steps: list[str]) -> str:
        digest = hashlib.sha256(json.dumps([parent, steps, SETUP_S]).encode()).hexdigest()[:16]
        layer = Layer("environment-setup", "", "", keep=_KEPT)
        tag = f"{REPOSITORY}:{layer.name}-{digest}"
        async with file_lock(self._locks_dir / f"{layer.name}-{digest}.lock"):
            if not await self._builder.engine.has_image(tag):
                self._raise_remembered(tag)
                await self._run(parent, steps, tag)
                await self._builder.retire(layer, tag)
        self._builder.used(layer)
        return tag

    async def _run(self, parent: str, steps: list[str], tag: str) -> None:
        draft = self._builder.draft(tag)
        name = draft.replace(":", "-").removesuffix("-draft")
        trial = await tried(self._builder.engine, name, parent, script_of(steps), SETUP_S, keep_as=draft)
        if trial.code is None:
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED,
                "The set-up steps of the project's environment were ended from outside; they will be started again.",
                error_class=ErrorClass.TRANSIENT,
            )
        if trial.code != 0:
            failure = _step_failed(trial, steps)
            self._remember(tag, failure)
            raise failure
        await self._builder.give_tag(draft, tag)

    def _raise_remembered(self, tag: str) -> None:
        file = self._memory(tag)
        if not file.exists() or time.time() - file.stat().st_mtime > _REMEMBERED_S:
            return
        message, evidence = json.loads(file.read_text())
        raise OrchestratorError(ErrorCode.ENVIRONMENT_FAILED, message, details={"evidence": evidence})

    def _remember(self, tag: str, failure: OrchestratorError) -> None:
        draft = self._memory(tag).with_suffix(".draft")
        draft.write_text(json.dumps([failure.message, failure.details["evidence"]]))
        draft.replace(self._memory(tag))

    def _memory(self, tag: str) -> Path:
        return self._locks_dir / f"{tag.rpartition(':')[2]}.failed"


def script_of(steps: list[str]) -> str:
    """A shell script that says which step it is at, and ends with the first that fails."""
    lines = ["export HOME=/tmp", "mkdir -p /opt/environment/files /opt/environment/bin", "cd /opt/environment/files"]
    for number, step in enumerate(steps, start=1):
        lines += [f"echo {shlex.quote(f'{_STEP}{number}')}", f"sh -ec {shlex.quote(step)}"]
    return "\n".join(lines)


def _package_layers(environment: Environment) -> list[Layer]:
    declared, layers = environment.file, []
    if declared.packages:
        arguments = {"PACKAGES": " ".join(sorted(set(declared.packages)))}
        dockerfile = text_of("agents/apt.Dockerfile")
        layers.append(Layer("environment-debian", dockerfile, "true", arguments=arguments, keep=_KEPT))
    if declared.services:
        layers.append(_services(sorted(set(declared.services))))
    if declared.python:
        layers.append(_python(declared.python))
    if environment.files:
        copies: dict[str, Source] = {f"files/{path}": (text, 0o644) for path, text in environment.files.items()}
        dockerfile = text_of("agents/environment-files.Dockerfile")
        layers.append(Layer("environment-files", dockerfile, "true", copies, keep=_KEPT))
    return layers


def _services(names: list[str]) -> Layer:
    """The launcher of every run starts what the image's variable names; the smoke test has started it once."""
    told = " ".join(names)
    variables = "".join(f"ENV {name}={value}\n" for service in names for name, value in _SERVICES[service][1].items())
    return Layer(
        "environment-services",
        f'{text_of("agents/environment-services.Dockerfile")}ENV ORCHESTRATOR_SERVICES="{told}"\n{variables}',
        f"services-start {told}",
        {"services-start.sh": (text_of("agents/services-start.sh").encode(), 0o755)},
        arguments={"PACKAGES": " ".join(_SERVICES[service][0] for service in names)},
        keep=_KEPT,
    )


def _python(requirements: list[str]) -> Layer:
    files: dict[str, Source] = {
        "environment-requirements.txt": ("".join(f"{line}\n" for line in requirements).encode(), 0o644),
        "pip_settings.py": (Path(pip_settings.__file__), 0o644),
    }
    return Layer(
        "environment-python",
        text_of("agents/environment-python.Dockerfile"),
        "/opt/environment/venv/bin/python --version",
        files,
        fetch=text_of("agents/environment-python-fetch.Dockerfile"),
        keep=_KEPT,
    )


def _is_wrong(said: str) -> bool:
    """Whether the names are wrong, and not the network or the disk."""
    if _NO_PACKAGE.search(said):
        return True
    return "No solution found" in said and not registry_trouble(said)


def _shareable(said: str) -> str:
    """The end of it, without what may be secret in the address of a registry."""
    secrets = pip_settings.secrets_in({**settings_for_uv(), **_proxies()})
    return end_of(redacted(said, secrets), _MAX_EVIDENCE)


def _proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}


def _step_failed(trial: Trial, steps: list[str]) -> OrchestratorError:
    numbers = re.findall(rf"(?m)^{_STEP}(\d+)$", trial.output)
    number = min(int(numbers[-1]), len(steps)) if numbers else 1
    why = f"ended with exit code {trial.code}"
    if trial.code in {_TOLD_TO_END, _MADE_TO_END}:
        why = f"did not end within {SETUP_S:.0f} s of set-up"
    return environment_failed(
        f"step {number} of setup {why}. It runs without a network.", end_of(trial.output, _MAX_EVIDENCE)
    )
