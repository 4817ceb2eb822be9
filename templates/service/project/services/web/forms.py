"""Forms: what a model asks for, and what a browser sent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, HTTPException, Request, status
from pydantic import ValidationError
from sqlmodel import SQLModel

LONG_TEXT = 10_000
KINDS = {"boolean": "checkbox", "integer": "number", "number": "number"}
FORMATS = {"date": "date", "date-time": "datetime-local"}


@dataclass(frozen=True)
class Field:
    """One input of a form; `kind` is its type in HTML, or textarea."""

    name: str
    kind: str
    step: str
    required: bool

    @property
    def label(self) -> str:
        return self.name.replace("_", " ").capitalize()


def fields_of(model: type[SQLModel]) -> list[Field]:
    schema = model.model_json_schema()
    required = set(schema.get("required", []))
    return [_field(name, found, name in required) for name, found in schema["properties"].items()]


def _field(name: str, schema: dict[str, Any], required: bool) -> Field:
    # An optional value is "this or null".
    known = schema["anyOf"][0] if "anyOf" in schema else schema
    kind = FORMATS.get(known.get("format", "")) or KINDS.get(known["type"], "text")
    if kind == "text" and known.get("maxLength", 0) > LONG_TEXT:
        kind = "textarea"
    return Field(name, kind, "1" if known["type"] != "number" else "any", required)


def shown(value: object) -> str:
    """A stored value as an input of a form takes it."""
    if isinstance(value, bool):
        return "on" if value else ""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="seconds")
    return "" if value is None else str(value)


async def sent(request: Request) -> dict[str, str]:
    """The values of a form, without those that were left empty."""
    body = (await request.body()).decode(errors="replace")
    # Browsers end the lines of a text with CR LF, whatever was typed.
    return {name: value.replace("\r\n", "\n") for name, value in parse_qsl(body)}


Sent = Annotated[dict[str, str], Depends(sent)]


Errors = dict[str, str]
"""What is wrong, by field."""


def checked(model: type[SQLModel], values: dict[str, str]) -> tuple[SQLModel | None, Errors]:
    """The values as the model, or None and what is wrong."""
    switches = {one.name: one.name in values for one in fields_of(model) if one.kind == "checkbox"}
    try:
        return model.model_validate({**values, **switches}), {}
    except ValidationError as error:
        return None, {str(one["loc"][0]): one["msg"] for one in error.errors(include_input=False)}


def refuse_other_sites(request: Request) -> None:
    """A page of another site must not send our forms in the name of whoever looks at it."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if request.method == "POST" and site not in ("same-origin", "none"):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "forms are sent from this site only")
