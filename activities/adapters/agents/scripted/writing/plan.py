"""What a wish means for the project as it is: the things and commands that it has afterwards, and what is left out."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ..reading.sentences import described
from ..reading.wish import Change, Command, Criterion, Entity, Wish
from . import commands, project, resources
from .workspace import Workspace

NO_PAGES = "The module web shows no passwords, so it has no pages for this."


@dataclass
class Plan:
    """`removed` are the files to remove, `gone` what people call them. Each clause of the wish is one of `criteria`."""

    entities: list[Entity] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    criteria: list[Criterion] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.entities or self.commands or self.removed or self.secrets or self._done)

    @property
    def _done(self) -> bool:
        """Something was asked for and is there already, by an earlier turn."""
        return any(one.built for one in self.criteria)

    @property
    def not_built(self) -> list[Criterion]:
        return [one for one in self.criteria if not one.built]


def plan_of(wish: Wish, workspace: Workspace) -> Plan:
    """Raises WishError for a field that exists with another type."""
    entities = {one.singular: project.grown(workspace, one) for one in wish.entities}
    plan = Plan(commands=list(wish.commands), secrets=wish.secrets, criteria=list(wish.criteria))
    if "backend" not in workspace.modules:
        plan.criteria = [_without_module(one, entities, "backend") for one in plan.criteria]
        entities = {}
    if "tg_bot" not in workspace.modules:
        routes = {name for one in entities.values() for name in (one.path, one.singular)}
        plan.criteria = [_without_bot(one, routes) for one in plan.criteria]
        plan.commands = []
    for change in wish.changes:
        plan.criteria.append(_change(change, workspace, entities, plan))
    plan.entities = list(entities.values())
    plan.criteria = [_as_it_becomes(one, entities) for one in plan.criteria]
    hidden = [one for one in plan.entities if workspace.has_pages and resources.has_passwords(one)]
    plan.criteria += [Criterion(NO_PAGES, f"pages of {one.path}", built=False) for one in hidden]
    return plan


def _without_module(one: Criterion, things: Iterable[str], module: str) -> Criterion:
    return replace(one, built=False, sentence=f"It needs the module {module}.") if one.about in things else one


def _without_bot(one: Criterion, routes: set[str]) -> Criterion:
    """`/notes returns the list` speaks of the route."""
    if not one.about.startswith("/"):
        return one
    if one.about[1:] in routes:
        return replace(one, sentence=f"{one.about} is a route of the API.")
    return replace(one, built=False, sentence="It needs the module tg_bot.")


def _as_it_becomes(one: Criterion, entities: dict[str, Entity]) -> Criterion:
    return replace(one, sentence=described(entities[one.about])) if one.built and one.about in entities else one


def _change(change: Change, workspace: Workspace, entities: dict[str, Entity], plan: Plan) -> Criterion:
    if change.kind == "remove-command":
        return _remove_command(change, workspace, plan)
    present = entities.get(change.name) or project.entity(workspace, change.name)
    if present is None:
        names = ", ".join(project.names(workspace)) or "nothing"
        return Criterion(f"The project has no {change.name}; it has: {names}.", change.words, built=False)
    if change.kind == "remove-entity":
        entities.pop(change.name, None)
        plan.removed += [path for path in resources.shown_by(present) if workspace.has(path)]
        if workspace.committed(resources.shown_by(present)[0]) is not None:
            plan.gone.append(present.path)
        return Criterion(f"There is no {present.path} any more; the data stay.", change.words)
    try:
        entities[change.name] = _changed(change, present, workspace)
    except LookupError as error:
        return Criterion(str(error), change.words, built=False)
    if change.kind == "add-fields":
        return Criterion(described(entities[change.name]), change.words, about=change.name)
    names = ", ".join(one.name for one in change.fields)
    return Criterion(f"{present.path} has no {names} any more; the data stay.", change.words)


def _changed(change: Change, present: Entity, workspace: Workspace) -> Entity:
    if change.kind == "add-fields":
        exists = project.entity(workspace, present.singular) is not None
        return project.extended(present, change.fields, optional=exists)
    gone = {one.name for one in change.fields}
    missing = gone - {one.name for one in (*present.fields, *present.retired)}
    if missing:
        raise LookupError(f"{present.path} has no field {', '.join(sorted(missing))}.")
    kept = tuple(one for one in present.fields if one.name not in gone)
    if not kept:
        raise LookupError(f"{present.path} must keep at least one field.")
    retired = (*present.retired, *(one for one in present.fields if one.name in gone))
    return Entity(present.singular, present.path, kept, retired)


def _remove_command(change: Change, workspace: Workspace, plan: Plan) -> Criterion:
    plan.commands = [one for one in plan.commands if one.name != change.name]
    paths = commands.paths(change.name)
    if not workspace.has(paths[0]) and not workspace.once_had(paths[0]):
        return Criterion(f"The bot has no command /{change.name}.", change.words, built=False)
    plan.removed += [path for path in paths if workspace.has(path)]
    if workspace.committed(paths[0]) is not None:
        plan.gone.append(f"/{change.name}")
    return Criterion(f"The bot has no command /{change.name} any more.", change.words)
