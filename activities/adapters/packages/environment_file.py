"""`.orchestrator/environment.yaml`: what a project needs in the place where agents work and its tests run.

The file comes from a repository, so it may say anything. It names packages and steps; it does not say where packages
come from, or what a step may do.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from activities.adapters.packages import bounded_yaml
from activities.adapters.packages.requirements_check import is_plain
from contracts.errors import ErrorCode, OrchestratorError

ENVIRONMENT_FILE = ".orchestrator/environment.yaml"
MAX_FILE = 256 * 1024
"""Of each file that set-up steps need."""
Read = Callable[[str, int], Awaitable[bytes | None]]
"""The file at a path of the repository with at most so many bytes; None if there is none."""


def _plain(requirement: str) -> str:
    if not is_plain(requirement):
        raise ValueError("must be a package name with versions, without a URL, a path or an option")
    return requirement


def _inside(path: str) -> str:
    if any(part in {"", ".", "..", ".git"} for part in path.split("/")):
        raise ValueError("must be a path inside of the repository")
    return path


_DebianPackage = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]{1,79}(=[A-Za-z0-9.+:~-]{1,80})?$")]
_Requirement = Annotated[str, StringConstraints(max_length=200), AfterValidator(_plain)]
_Path = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-][A-Za-z0-9_./-]{0,199}$"), AfterValidator(_inside)]
_Command = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=r"^[^\x00]+$")]


class EnvironmentFile(BaseModel):
    """`packages` of Debian and `python` requirements are installed by the platform. The commands of `setup` run after
    that, in `/opt/environment/files` with copies of `files`, without a network. `egress`: whether turns reach what the
    project's setting allows, or nothing. `services` run beside the agent and the tests, in their container."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Literal[1] = 1
    packages: list[_DebianPackage] = Field(default_factory=list, max_length=50)
    python: list[_Requirement] = Field(default_factory=list, max_length=200)
    files: list[_Path] = Field(default_factory=list, max_length=20)
    setup: list[_Command] = Field(default_factory=list, max_length=30)
    services: list[Literal["postgresql", "redis"]] = Field(default_factory=list, max_length=20)
    egress: Literal["none", "project"] = "project"


@dataclass(frozen=True)
class Environment:
    """A declaration, with the content of its files."""

    file: EnvironmentFile = field(default_factory=EnvironmentFile)
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to be set up."""
        return not (self.file.packages or self.file.python or self.file.setup or self.file.services)


async def read_environment(read: Read) -> Environment:
    """What the repository declares; an empty one without a file. Raises ENVIRONMENT_FAILED if it cannot be used."""
    content = await read(ENVIRONMENT_FILE, bounded_yaml.MAX_BYTES)
    if content is None:
        return Environment()
    declared = await asyncio.to_thread(parsed_environment, content)
    files: dict[str, bytes] = {}
    for path in declared.files:
        found = await read(path, MAX_FILE)
        if found is None:
            reason = f"files names {path}, which is not a file of at most {MAX_FILE // 1024} KB in the repository."
            raise environment_failed(reason)
        files[path] = found
    return Environment(declared, files)


def files_of(project: Path) -> Read:
    """Reads from a checked-out copy; links are no files of it."""

    async def read(path: str, limit: int) -> bytes | None:
        return await asyncio.to_thread(_contained, project, path, limit)

    return read


def _contained(project: Path, path: str, limit: int) -> bytes | None:
    file = project / path
    steps = [project.joinpath(*Path(path).parts[:count]) for count in range(1, len(Path(path).parts) + 1)]
    if any(step.is_symlink() for step in steps) or not file.is_file() or file.stat().st_size > limit:
        return None
    return file.read_bytes()


def parsed_environment(content: bytes) -> EnvironmentFile:
    """Blocks for at most some tenths of a second. Raises ENVIRONMENT_FAILED."""
    try:
        declared = EnvironmentFile.model_validate(bounded_yaml.load(content.decode()) or {})
    except UnicodeDecodeError:
        raise environment_failed("it is not a text file; save it as UTF-8.") from None
    except bounded_yaml.UnusableYaml as error:
        raise environment_failed(f"the file {error}.") from None
    except ValidationError as error:
        raise environment_failed(_explained(error)) from None
    return declared


def environment_failed(reason: str, evidence: str = "") -> OrchestratorError:
    """The file of the project is at fault; `evidence` is the end of what was printed, without secrets."""
    text = f"The project's environment cannot be set up. In {ENVIRONMENT_FILE}: {reason}"
    evidence = re.sub(r"[^\S\n]+\n", "\n", evidence).strip()
    details = {"evidence": f"{text}\n{evidence}".strip()}
    return OrchestratorError(ErrorCode.ENVIRONMENT_FAILED, text, details=details)


def _explained(error: ValidationError) -> str:
    """The first few problems, without the values: a misplaced one could be a secret."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    said = (f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}" for item in problems[:3])
    return "; ".join(said) + "."
