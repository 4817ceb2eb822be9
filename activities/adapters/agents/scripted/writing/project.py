"""The things that a project has, read from the code that this agent wrote in earlier tasks."""

import re
from collections.abc import Iterable

from ..reading.wish import Entity, Field, WishError, checked_fields
from . import resources
from .workspace import Workspace

MODELS = "services/backend/models"


def names(workspace: Workspace) -> list[str]:
    """The routes of all things."""
    found = [entity(workspace, _singular(path)) for path in workspace.committed_files(MODELS)]
    return sorted(one.path for one in found if one is not None)


def entity(workspace: Workspace, singular: str) -> Entity | None:
    """The thing as the last commit has it; None for code that is not of our making."""
    model = workspace.committed(f"{MODELS}/{singular}.py")
    table = re.search(r'__tablename__ = "(\w+)"', model) if model else None
    fields = resources.existing_fields(model) if model else ()
    if model is None or table is None or not fields:
        return None
    routes = workspace.committed(f"services/backend/routes/{table[1]}.py") or ""
    path = re.search(r'prefix="/([\w-]+)"', routes)
    return Entity(singular, path[1] if path else table[1].replace("_", "-"), fields, resources.retired_fields(model))


def grown(workspace: Workspace, wanted: Entity) -> Entity:
    """The thing with what it has already. Raises WishError as `extended` does."""
    present = entity(workspace, wanted.singular)
    return wanted if present is None else extended(present, wanted.fields, optional=True)


def extended(present: Entity, wanted: Iterable[Field], *, optional: bool) -> Entity:
    """What exists stays as it is, because rows of earlier releases use it; with `optional` old clients need not know
    the new fields.

    Raises WishError for a field that exists with another type, a flag that was removed, or too many fields.
    """
    active = {one.name: one.type for one in present.fields}
    stored = {one.name: one.type for one in present.retired}
    added: list[Field] = []
    for one in wanted:
        if one.name in active and active[one.name] != one.type:
            raise WishError(f"{one.name}: {one.type}")
        # Releases that do not know a flag any more write no value for it.
        if one.name in stored and (one.type == "boolean" or stored[one.name] != resources.stored_type(one)):
            raise WishError(f"{one.name}: {one.type}")
        if one.name not in active:
            added.append(Field(one.name, one.type, required=one.required and not optional))
    again = {one.name for one in added}
    retired = tuple(one for one in present.retired if one.name not in again)
    checked_fields((*present.fields, *added, *retired), present.path)
    return Entity(present.singular, present.path, (*present.fields, *added), retired)


def _singular(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".py")
