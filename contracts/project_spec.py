"""What to build: written by the Product Owner or a person, shown before it is built, hashed for approvals."""

import hashlib
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from contracts.base import Contract, ShortText, Text
from contracts.criteria import Criteria
from contracts.states import Module

FieldType = Literal["string", "text", "integer", "number", "boolean", "date", "datetime"]
ProjectName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
"""Kebab-case; becomes the repository and service name."""
ProjectSlug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
"""A project's name as it was when the project was made, and hex digits: `bookshelf-1f9a`. Unique; never changes."""
MAX_SPEC_BYTES = 48_000
"""A spec travels in messages and in TASK.md; larger wishes are several wishes."""

SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]{0,99}$")]


def _web_has_its_backend(modules: list[Module]) -> list[Module]:
    if Module.WEB in modules and Module.BACKEND not in modules:
        raise ValueError("web shows the data of backend: choose backend too")
    return modules


Modules = Annotated[list[Module], Field(min_length=1), AfterValidator(_web_has_its_backend)]
"""What a project consists of."""


class EntityField(Contract):
    name: ShortText
    type: FieldType = "string"
    required: bool = True


class Entity(Contract):
    name: ShortText
    fields: list[EntityField] = Field(default_factory=list, max_length=50)


class EntryPoint(Contract):
    kind: Literal["http", "web", "telegram"]
    commands: list[ShortText] = Field(default_factory=list, max_length=50)
    routes: list[ShortText] = Field(default_factory=list, max_length=100)
    port: int | None = Field(default=None, ge=1, le=65535)


class Infrastructure(Contract):
    """Minimum memory and disk in MB."""

    min_ram_mb: int = Field(default=256, ge=64, le=1_048_576)
    min_disk_mb: int = Field(default=512, ge=64, le=10_485_760)
    ports: list[int] = Field(default_factory=list, max_length=20)


class ProjectSpec(Contract):
    """The wish, in a form that can be checked."""

    version: Literal["1"] = "1"
    name: ProjectName
    description: Text = ""
    modules: Modules = Field(default_factory=lambda: [Module.BACKEND])
    entry_points: list[EntryPoint] = Field(default_factory=list, max_length=20)
    data: list[Entity] = Field(default_factory=list, max_length=50)
    secrets_required: list[SecretName] = Field(default_factory=list, max_length=50)
    infrastructure: Infrastructure = Field(default_factory=Infrastructure)
    acceptance: Criteria = Field(default_factory=list)
    non_goals: list[ShortText] = Field(default_factory=list, max_length=50)

    @model_validator(mode="after")
    def _fits_into_a_task(self) -> Self:
        size = len(self.model_dump_json().encode())
        if size > MAX_SPEC_BYTES:
            raise ValueError(f"the spec has {size} bytes; at most {MAX_SPEC_BYTES} fit, so split the work")
        return self

    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON: an approval names the spec that it approved.

        What checks have shown since is not part of it.
        """
        found_out = {"acceptance": {"__all__": {"state", "proof"}}}
        return hashlib.sha256(self.model_dump_json(exclude=found_out).encode()).hexdigest()
