"""Text from outside, before it enters a message: what programs print and files hold need not be text.

A NUL fits into no argument, variable or column of PostgreSQL, and half of a surrogate pair into no JSON document.
Activities and their client of the API are the edge: `workers.interceptors` cleans what an activity returns or raises,
`runtime.api_client` what the platform writes through the API. Nothing behind that edge has to think of it.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

_UNFIT = re.compile(r"[\x00\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

Value = TypeVar("Value")


def cleaned(text: str) -> str:
    """`text` with a replacement character for each that a message cannot hold: it stays as long as it was."""
    return _UNFIT.sub(REPLACEMENT, text) if _UNFIT.search(text) else text


def cleaned_in(value: Value) -> Value:
    """`value` with clean texts in its models, mappings and lists; the same object if they were clean."""
    return _cleaned(value)  # type: ignore[no-any-return]  # each kind of value becomes one of its own kind


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - any value that crosses the edge
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, BaseModel):
        changed = _changed({name: getattr(value, name) for name in type(value).model_fields})
        return value.model_copy(update=changed) if changed else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = _changed({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
        return dataclasses.replace(value, **changed) if changed else value
    if isinstance(value, dict):
        items = [(_cleaned(key), _cleaned(item)) for key, item in value.items()]
        same = all(a is key and b is item for (a, b), (key, item) in zip(items, value.items(), strict=True))
        return value if same else dict(items)
    if isinstance(value, list | tuple):
        parts = [_cleaned(item) for item in value]
        same = all(new is old for new, old in zip(parts, value, strict=True))
        return value if same else type(value)(parts)
    return value


def _changed(fields: Mapping[str, Any]) -> dict[str, Any]:
    clean = {name: _cleaned(value) for name, value in fields.items()}
    return {name: value for name, value in clean.items() if value is not fields[name]}
