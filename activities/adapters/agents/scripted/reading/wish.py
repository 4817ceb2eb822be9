"""What a turn is asked to do, in the agent's own words."""

import json
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FIELD_TYPES = ("string", "text", "integer", "number", "boolean", "date", "datetime")
MAX_NAME = 40
MAX_FIELDS = 50
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
SECRET = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
COMMAND = re.compile(r"[a-z0-9_]{1,32}")
FENCE = re.compile(r"^```json\s*\n(.*?)^```\s*$", re.DOTALL | re.MULTILINE)
DIRECTIVE = re.compile(r"\[agent:([a-z-]+)(?:=([^\]\n]{1,100}))?\]")

# Names that a model needs for itself.
_TAKEN = """id copy json dict schema schema_json construct validate parse_obj parse_raw parse_file
from_orm fields update_forward_refs model_config model_fields metadata registry sqlmodel_update"""
TAKEN_FIELDS = frozenset(_TAKEN.split())


class WishError(Exception):
    """Something was understood and cannot be built; `name` is what the person wrote."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Field:
    name: str
    type: str = "string"
    required: bool = True


@dataclass(frozen=True)
class Entity:
    """`singular` names the model, `path` the route; both are safe identifiers (the path may have dashes).

    `retired` are columns that releases before this one use: they stay in the table, and nothing shows them.
    """

    singular: str
    path: str
    fields: tuple[Field, ...]
    retired: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Command:
    name: str
    reply: str


@dataclass(frozen=True)
class Change:
    """What is to change in a project that exists. `name` is what the model of a thing, or a command, is called."""

    kind: Literal["add-fields", "remove-fields", "remove-entity", "remove-command"]
    name: str
    words: str
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Criterion:
    """What has become of some words of the wish; `sentence` says it. `about` is a thing's model or a `/command`."""

    sentence: str
    words: str
    built: bool = True
    about: str = ""


@dataclass
class Wish:
    """`criteria` stand for every clause, whether it is understood or not."""

    entities: list[Entity] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    criteria: list[Criterion] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.entities or self.commands or self.secrets or self.changes)

    @property
    def not_built(self) -> list[Criterion]:
        return [one for one in self.criteria if not one.built]


@dataclass(frozen=True)
class Task:
    """TASK.md: its prose and its specification (empty when there is none or it is not JSON)."""

    prose: str
    spec: Mapping[str, Any]

    @property
    def sentences(self) -> str:
        """The description; prose counts only without one, because it may also hold rules for agents."""
        description = self.spec.get("description")
        return description if isinstance(description, str) and description.strip() else self.prose


def read_task(text: str) -> Task:
    prose = FENCE.sub("", text)
    lines = [line for line in prose.splitlines() if not line.lstrip().startswith("#")]
    return Task("\n".join(lines).strip(), _specification(text))


def _specification(text: str) -> Mapping[str, Any]:
    found = FENCE.search(text)
    try:
        value = json.loads(found.group(1)) if found else {}
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def directives(text: str) -> dict[str, list[str]]:
    """The values of `[agent:name]` (an empty text) and `[agent:name=value]`, by name."""
    found: dict[str, list[str]] = {}
    for name, value in DIRECTIVE.findall(text):
        values = found.setdefault(name, [])
        if value not in values:
            values.append(value)
    return found


def without_directives(text: str) -> str:
    return DIRECTIVE.sub("", text)


def section(prompt: str, title: str) -> str:
    """The text under `## title` up to the next heading of the same level; empty when there is none."""
    found = re.search(rf"^## {re.escape(title)}[^\n]*\n(.*?)(?=^## |\Z)", prompt, re.DOTALL | re.MULTILINE)
    return found.group(1).strip() if found else ""


def has_section(prompt: str, title: str) -> bool:
    return re.search(rf"^## {re.escape(title)}\b", prompt, re.MULTILINE) is not None


def safe_name(name: str, shown: str) -> str:
    """Raises WishError unless the name is valid in Python, in SQL and in a path."""
    bad = len(name) > MAX_NAME or not IDENTIFIER.fullmatch(name)
    if bad or keyword.iskeyword(name) or keyword.iskeyword(name.capitalize()):
        raise WishError(shown)
    return name


def checked_fields(fields: Iterable[Field], shown: str) -> tuple[Field, ...]:
    """Raises WishError for a reserved or repeated field name, and for no fields or too many."""
    checked: dict[str, Field] = {}
    for one in fields:
        # SQLite does not tell columns apart by case.
        folded = one.name.lower()
        if folded in TAKEN_FIELDS or folded.startswith("model_") or folded in checked:
            raise WishError(one.name)
        checked[folded] = one
    if not 0 < len(checked) <= MAX_FIELDS:
        raise WishError(shown)
    return tuple(checked.values())
