"""The wish in a ProjectSpec, completed by what its sentences say. Missing and unknown parts are tolerated."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .clauses import says_something, sentences, tidy
from .field_lists import MAY_BE_PASSWORD
from .naming import noun_in, singular_name
from .nouns import suggested_type
from .replies import with_answer
from .sentences import answered, command, described, entity, field_name, merged, understand
from .wish import FIELD_TYPES, SECRET, Command, Criterion, Entity, Field, Task, Wish, WishError, without_directives

COMMAND_LINE = re.compile(r"/?(?P<name>\w+)\s*(?:[-–—:]\s*(?P<text>.+))?", re.DOTALL)
ANSWERED = "It could not be built as it stands; what was answered is built in its place."
SYNONYMS = {"int": "integer", "str": "string", "bool": "boolean", "float": "number"}


def wish_of(task: Task, answers: Sequence[str], completes: Mapping[str, str] | None = None) -> Wish:
    """The latest answer counts first, then earlier ones, the specification, the sentences.

    `completes` gives for an answer the words that its question was about: an answer that is no wish of its own takes
    their place; if they end with a colon it is the list of fields that they lack. Raises WishError for a name that
    cannot be built.
    """
    about = {answer: (completes or {}).get(answer, "") for answer in answers}
    for answer, words in about.items():
        task = _completed(task, answer, words)
    newest = next(reversed(about), "")
    said = [understand(without_directives(newest)) if answers and not about[newest] else _understood(newest)]
    said += [_understood(answer, asking=bool(about[answer])) for answer in reversed([*about][:-1])]
    said = [one for one, answer in zip(said, reversed([*about]), strict=False) if not one.empty or not about[answer]]
    # A name that could not be built in the task is forgiven once an answer says something that can.
    if any(not wish.empty for wish in said):
        return _together([*said, *_tolerated(task, {words.removesuffix(":") for words in about.values()})])
    return _together([*said, *_parts(task)])


def _completed(task: Task, answer: str, words: str) -> Task:
    if not words:
        return task
    lacking = words.removesuffix(":")
    if not _understood(answer).empty:
        # It says the whole thing once more; all other words of the task stay.
        text = task.sentences.replace(lacking, " ")
    elif lacking == words:
        answer = with_answer(words, answer)
        text = task.sentences.replace(words, answer)
    elif lacking in task.sentences:
        text = task.sentences.replace(lacking, f"{lacking}: {answer}")
    else:
        text = f"{task.sentences}\n{lacking}: {answer}"
    return Task(text, _renamed({**task.spec, "description": text} if task.spec else {}, words, answer))


def _renamed(value: Any, words: str, answer: str) -> Any:  # noqa: ANN401 - JSON
    """The specification with another name in place of one that could not be built."""
    if isinstance(value, dict):
        return {key: _renamed(item, words, answer) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, words, answer) for item in value]
    return answer if value == words else value


def _parts(task: Task) -> list[Wish]:
    spec = _from_specification(task.spec, _replies(task))
    spoken = understand(without_directives(task.sentences))
    if spec.entities:
        spoken.entities = []
    said = {one.about for one in spoken.criteria}
    spec.criteria = [
        Criterion(described(one), one.path, about=one.singular) for one in spec.entities if one.singular not in said
    ]
    return [spec, spoken]


def _tolerated(task: Task, asked_about: set[str]) -> list[Wish]:
    """What else the task says. A further name that cannot be built is asked about in its turn: WishError."""
    try:
        return _parts(task)
    except WishError as error:
        if any(asked_about) and error.name not in asked_about:
            raise
        return [_forgiven(sentence) for sentence in sentences(without_directives(task.sentences))]


def _forgiven(sentence: str) -> Wish:
    try:
        return understand(sentence)
    except WishError:
        return Wish(criteria=[Criterion(ANSWERED, tidy(sentence), built=False)])


def _together(wishes: Sequence[Wish]) -> Wish:
    whole = Wish(entities=merged(one for wish in wishes for one in wish.entities))
    commands: dict[str, Command] = {}
    for wish in wishes:
        for said in wish.commands:
            commands.setdefault(said.name, said)
        whole.secrets += [name for name in wish.secrets if name not in whole.secrets]
        whole.changes += [one for one in wish.changes if one not in whole.changes]
        whole.criteria += [one for one in wish.criteria if one not in whole.criteria]
    whole.commands = list(commands.values())
    whole.criteria = [_judged(one, whole) for one in whole.criteria]
    return whole


def _judged(one: Criterion, whole: Wish) -> Criterion:
    """What is built in the end may be more than one sentence says, or less."""
    if one.built and one.about:
        sentence = next((described(thing) for thing in whole.entities if thing.singular == one.about), None)
        sentence = sentence or next((answered(said) for said in whole.commands if f"/{said.name}" == one.about), None)
        return replace(one, sentence=sentence or "The specification does not have it.", built=sentence is not None)
    thing = next((thing for thing in whole.entities if not one.built and _only_names(one.words, thing)), None)
    return one if thing is None else replace(one, sentence=described(thing), built=True, about=thing.singular)


def _only_names(words: str, thing: Entity) -> bool:
    """Whether words say nothing but the name of a thing: its fields stand elsewhere."""
    noun = noun_in(words.strip(" :."))
    try:
        return (
            noun is not None and singular_name(noun) == thing.singular and not says_something(words.replace(noun, " "))
        )
    except WishError:
        return False


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
    name = field_name(item["name"])
    if kind in MAY_BE_PASSWORD and suggested_type(name.lower()) == "password":
        kind = "password"
    return Field(name, kind, required=item.get("required") is not False)


def _first_segment(route: object) -> str | None:
    found = re.search(r"/([a-z][a-z0-9_-]*)", route) if isinstance(route, str) else None
    return found.group(1) if found else None


def _command(line: object, replies: Mapping[str, str]) -> Command:
    found = COMMAND_LINE.fullmatch(line.strip()) if isinstance(line, str) else None
    if found is None:
        raise WishError(str(line)[:100])
    name = found["name"].lower()
    said = understand(str(line), asking=False).commands
    reply = said[0].reply if said else found["text"] or replies.get(name) or f"{name.capitalize()}!"
    return command(name, reply)


def _replies(task: Task) -> dict[str, str]:
    """Texts of commands wherever the task says them: acceptance first, then prose."""
    texts = (without_directives(task.sentences), *_sentences(task.spec))
    return {one.name: one.reply for text in texts for one in _understood(text, asking=False).commands}


def _sentences(spec: Mapping[str, object]) -> list[str]:
    """The acceptance criteria; older specs have plain sentences."""
    found = (item.get("sentence") if isinstance(item, Mapping) else item for item in _items(spec, "acceptance"))
    return [sentence for sentence in found if isinstance(sentence, str)]


def _understood(text: str, *, asking: bool = True) -> Wish:
    try:
        return understand(without_directives(text), asking=asking)
    except WishError:
        return Wish()
