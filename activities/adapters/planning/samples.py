"""Values that a check sends: as the wish names the types, or as the API description does."""

import json
from collections.abc import Mapping
from typing import Any

from activities.adapters.agents.scripted.reading.wish import Field

WORD = "Acceptance {unique}"
"""New for each run, so that it is found among what is there already."""
_LONGEST = 1_000
SECRET_WORD = "secret-{unique}"

_BY_TYPE: dict[str, Any] = {
    "string": WORD,
    "text": f"{WORD}, a longer text.",
    "integer": 4711,
    "number": 12.5,
    "boolean": True,
    "date": "2026-01-31",
    "datetime": "2026-01-31T12:30:00Z",
    "password": SECRET_WORD,
}
_BY_FORMAT: dict[str, Any] = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:30:00Z",
    "email": "acceptance@example.com",
    "uri": "https://example.com/acceptance",
    "uuid": "7f1c1f0e-3f4e-4b43-9e9a-000000000001",
    "time": "12:30:00",
}


def of_field(field: Field, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """What is sent for a field of the wish: what the wish calls it, in the limits of the description."""
    if field.type in {"string", "text"} and (str(schema.get("format")) in _BY_FORMAT or schema.get("enum")):
        return of_schema(schema)
    value = _BY_TYPE.get(field.type, WORD)
    return _bounded(value, schema) if field.type in {"integer", "number"} else value


def of_schema(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """What is sent for a property that the wish does not name."""
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return next((one for one in choices if _can_be_sent(one)), choices[0])
    if _can_be_sent(schema.get("default")):
        return schema["default"]
    kind = _kind(schema)
    if kind in {"integer", "number"}:
        return _bounded(_BY_TYPE[kind], schema)
    if kind == "boolean":
        return True
    if kind == "array":
        return []
    if kind == "object":
        return {}
    return _BY_FORMAT.get(str(schema.get("format")), WORD)


def seen_of(field: Field, sent: Any) -> Any:  # noqa: ANN401 - any JSON value
    """What must come back: a time may be written in another way, so only its beginning counts."""
    return str(sent)[:16] if field.type == "datetime" else sent


def _kind(schema: Mapping[str, Any]) -> str:
    """The type; of several the first that is a value."""
    named = schema.get("type")
    kinds = named if isinstance(named, list) else [named]
    return next((str(kind) for kind in kinds if kind not in (None, "null")), "")


def _can_be_sent(value: object) -> bool:
    """Whether it is a value, short, and without braces: these would name a variable of the check."""
    written = json.dumps(value)
    return value is not None and len(written) <= _LONGEST and (isinstance(value, dict) or "{" not in written)


def _bounded(value: float, schema: Mapping[str, Any]) -> float:
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    if isinstance(highest, int | float) and value > highest:
        return highest
    return max(value, lowest) if isinstance(lowest, int | float) else value
