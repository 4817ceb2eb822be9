"""The wish in a ProjectSpec, completed by what its sentences say. Missing and unknown parts are tolerated."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .sentences import command, entity, field_name, understand
from .wish import FIELD_TYPES, SECRET, Command, Entity, Field, Task, Wish, WishError, without_directives

COMMAND_LINE = re.compile(r"/?(?P<name>\w+)\s*(?:[-–—:]\s*(?P<text>.+))?", re.DOTALL)
SYNONYMS = {"int": "integer", "str": "string", "bool": "boolean", "float": "number"}


def wish_of(task: Task, answers: Sequence[str]) -> Wish:
    """The latest answer counts first, then earlier ones, the specification, the sentences.

    Raises WishError for a name that cannot be built.
    """
    said = [understand(without_directives(answer)) for answer in answers[-1:]]
    said += [_understood(without_directives(answer)) for answer in reversed(answers[:-1])]
    # A name that could not be built in the task is forgiven once an answer says something that can.
    if any(not wish.empty for wish in said):
        return _together([*said, *_tolerated(task)])
    return _together(_parts(task))


def _parts(task: Task) -> list[Wish]:
    spec = _from_specification(task.spec, _replies(task))
    sentences = understand(without_directives(task.sentences))
    if spec.entities:
        sentences.entities = []
    return [spec, sentences]


def _tolerated(task: Task) -> list[Wish]:
    try:
        return _parts(task)
    except WishError:
        return []


def _together(wishes: Iterable[Wish]) -> Wish:
    whole = Wish()
    entities: dict[str, Entity] = {}
    commands: dict[str, Command] = {}
    for wish in wishes:
        for one in wish.entities:
            entities.setdefault(one.singular, one)
        for said in wish.commands:
            commands.setdefault(said.name, said)
        whole.secrets += [name for name in wish.secrets if name not in whole.secrets]
    whole.entities, whole.commands = list(entities.values()), list(commands.values())
    return whole


def _from_specification(spec: Mapping[str, Any], replies: Mapping[str, str]) -> Wish:
    points = [point for point in _items(spec, "entry_points") if isinstance(point, dict)]
    paths = [path for point in points for route in _items(point, "routes") if (path := _first_segment(route))]
    named = [line for point in points if point.get("kind") == "telegram" for line in _items(point, "commands")]
    commands = [_command(line, replies) for line in named]
    return Wish(
        entities=[_entity(item, paths) for item in _items(spec, "data") if _has_fields(item)],
        commands=[one for one in commands if one.name not in ("start", "help") or one.name in replies],
        secrets=[name for name in _items(spec, "secrets_required") if _is_secret(name)],
    )


def _items(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    return found if isinstance(found, list) else []


def _has_fields(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("name"), str) and bool(_items(item, "fields"))


def _is_secret(name: object) -> bool:
    return isinstance(name, str) and SECRET.fullmatch(name) is not None


def _entity(item: Mapping[str, Any], paths: Iterable[str]) -> Entity:
    return entity(item["name"], [_field(one) for one in _items(item, "fields")], paths)


def _field(item: object) -> Field:
    if isinstance(item, str):
        item = {"name": item}
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise WishError(str(item)[:100])
    kind = str(item.get("type") or "string").lower()
    kind = SYNONYMS.get(kind, kind)
    if kind not in FIELD_TYPES:
        raise WishError(f"{item['name']}: {kind}")
    return Field(field_name(item["name"]), kind, required=item.get("required") is not False)


def _first_segment(route: object) -> str | None:
    found = re.search(r"/([a-z][a-z0-9_-]*)", route) if isinstance(route, str) else None
    return found.group(1) if found else None


def _command(line: object, replies: Mapping[str, str]) -> Command:
    found = COMMAND_LINE.fullmatch(line.strip()) if isinstance(line, str) else None
    if found is None:
        raise WishError(str(line)[:100])
    name = found["name"].lower()
    said = understand(str(line)).commands
    reply = said[0].reply if said else found["text"] or replies.get(name) or f"{name.capitalize()}!"
    return command(name, reply)


def _replies(task: Task) -> dict[str, str]:
    """Texts of commands wherever the task says them: acceptance first, then prose."""
    texts = (without_directives(task.sentences), *_sentences(task.spec))
    return {one.name: one.reply for text in texts for one in _understood(text).commands}


def _sentences(spec: Mapping[str, object]) -> list[str]:
    """The acceptance criteria; older specs have plain sentences."""
    found = (item.get("sentence") if isinstance(item, Mapping) else item for item in _items(spec, "acceptance"))
    return [sentence for sentence in found if isinstance(sentence, str)]


def _understood(text: str) -> Wish:
    try:
        return understand(text)
    except WishError:
        return Wish()
