"""Finds what a change of a contract breaks for its users, from two sets of JSON Schemas.

New optional fields, new models, new enumeration values and wider limits are fine; everything else is named, with a way
to get what was wanted without breaking anybody.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]
ModelSchemas = dict[str, Schema]

_ADVICE: Final = {
    "model": "Put the class back under this name; retire it by no longer using it.",
    "field": "Put it back with its default; retire it by no longer reading it.",
    "type": "Keep the type, and add a new optional field beside it.",
    "required": "Give it a default, because older senders leave it out.",
    "value": "Put the value back; nothing has to produce it any more.",
    "default": "Keep the default, because who leaves the field out means the old value. "
    "Set the new value where the message is made.",
    "limit": "Keep the old limit here, because stored messages may use it up. Refuse new input at the edge instead.",
}
_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT_LIMITS: Final = ("pattern", "format", "multipleOf", "uniqueItems")
_ABSENT: Final = object()


def incompatibilities(released: ModelSchemas, current: ModelSchemas) -> list[str]:
    """One sentence for each broken promise, with what to do instead; empty if today's models keep them all."""
    problems: list[str] = []
    for name, old in sorted(released.items()):
        if name not in current:
            problems.append(_problem(name, "the model disappeared", "model"))
        else:
            problems += _compare(name, old, current[name])
    return problems


def _problem(path: str, what: str, kind: str) -> str:
    return f"{path}: {what}. {_ADVICE[kind]}"


def _compare(path: str, old: Schema, new: Schema) -> Iterator[str]:
    if _kind(old) != _kind(new):
        yield _problem(path, f"the type changed from {_kind(old)} to {_kind(new)}", "type")
        return
    yield from _values(path, old, new)
    yield from _limits(path, old, new)
    yield from _variants(path, old, new)
    yield from _items(path, old, new)
    yield from _properties(path, old, new)


def _kind(schema: Schema) -> str:
    """The type without limits: a name, `date-time text`, or the kinds of all variants."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "oneOf" in schema:
        return "one of several"
    if "anyOf" in schema:
        return " or ".join(sorted(_kind(variant) for variant in schema["anyOf"]))
    kind = schema.get("type") or _value_kind(schema)
    return f"{schema['format']} {kind}" if "format" in schema else str(kind)


def _value_kind(schema: Schema) -> str:
    values = _allowed(schema)
    return "anything" if values is None else " or ".join(sorted({type(value).__name__ for value in values}))


def _allowed(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _values(path: str, old: Schema, new: Schema) -> Iterator[str]:
    before, now = _allowed(old), _allowed(new)
    if now is None:
        return
    if before is None:
        yield _problem(path, f"only {_listed(now)} may be sent now", "limit")
        return
    for value in before:
        if value not in now:
            yield _problem(path, f"the value {json.dumps(value)} disappeared", "value")


def _listed(values: list[Any]) -> str:
    return ", ".join(json.dumps(value) for value in values)


def _limits(path: str, old: Schema, new: Schema) -> Iterator[str]:
    for limit in (*_LOWER_BOUNDS, *_UPPER_BOUNDS, *_EXACT_LIMITS):
        before, now = old.get(limit), new.get(limit)
        if _tighter(limit, before, now):
            yield _problem(path, f"the limit {limit} tightened from {before or 'none'} to {now}", "limit")
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield _problem(path, "unknown fields are refused now", "limit")


def _tighter(limit: str, before: object, now: object) -> bool:
    if now is None or before == now:
        return False
    if not isinstance(before, int | float) or not isinstance(now, int | float) or limit in _EXACT_LIMITS:
        return True
    return now > before if limit in _LOWER_BOUNDS else now < before


def _variants(path: str, old: Schema, new: Schema) -> Iterator[str]:
    """Variants of `anyOf` are equal in kind already; of `oneOf`, none may disappear."""
    for key in ("anyOf", "oneOf"):
        candidates = list(new.get(key, []))
        for variant in old.get(key, []):
            match = next((one for one in candidates if _kind(one) == _kind(variant)), None)
            if match is None:
                yield _problem(path, f"the variant {_kind(variant)} disappeared", "type")
                continue
            candidates.remove(match)
            yield from _compare(path, variant, match)


def _items(path: str, old: Schema, new: Schema) -> Iterator[str]:
    for key, part in (("items", "[]"), ("additionalProperties", "{}"), ("propertyNames", "{name}")):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from _compare(f"{path}{part}", before, now)
        elif isinstance(now, dict):
            # There was no rule for what is inside; now there is one.
            yield from _compare(f"{path}{part}", {}, now)


def _properties(path: str, old: Schema, new: Schema) -> Iterator[str]:
    before, now = old.get("properties", {}), new.get("properties", {})
    required = set(new.get("required", []))
    was_required = set(old.get("required", []))
    for name, schema in before.items():
        place = f"{path}.{name}"
        if name not in now:
            yield _problem(place, "the field disappeared", "field")
            continue
        if name in required and name not in was_required:
            yield _problem(place, "the field became required", "required")
        else:
            yield from _default(place, schema, now[name])
        yield from _compare(place, schema, now[name])
    for name in sorted((required - before.keys()) & now.keys()):
        yield _problem(f"{path}.{name}", "the new field is required", "required")


def _default(path: str, old: Schema, new: Schema) -> Iterator[str]:
    before, now = old.get("default", _ABSENT), new.get("default", _ABSENT)
    if before is not _ABSENT and before != now:
        shown = "none" if now is _ABSENT else json.dumps(now)
        yield _problem(path, f"the default changed from {json.dumps(before)} to {shown}", "default")
