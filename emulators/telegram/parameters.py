"""Parameters of a call, in any of the three encodings, validated with aiogram's models of the methods.

aiogram generates its models from the documentation of the Bot API, so they serve as the specification.
"""

import json
import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import aiogram.methods
from aiogram.client.default import Default
from aiogram.methods import TelegramMethod
from aiogram.types import BufferedInputFile
from aiohttp import web
from pydantic import ValidationError

from emulators.telegram.errors import ApiError, bad_request

Method = TelegramMethod[Any]
_ATTACHED = "attach://"

SPECIFICATION: dict[str, type[Method]] = {
    found.__api_method__.lower(): found
    for name in aiogram.methods.__all__
    if isinstance(found := getattr(aiogram.methods, name), type)
    and issubclass(found, TelegramMethod)
    and isinstance(found.__dict__.get("__api_method__"), str)
}
"""Every documented method by its lower-case name: method names are case-insensitive."""


async def read(request: web.Request) -> dict[str, Any]:
    """The raw parameters: query string, urlencoded or multipart form, or a JSON object."""
    values: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = await request.text()
        if body:
            values |= _json_object(body)
    elif request.method == "POST":
        values |= dict(await request.post())
    return _with_files(values)


def _with_files(values: dict[str, Any]) -> dict[str, Any]:
    """A parameter `attach://NAME` is the file that was sent as NAME."""
    attached = {name: str(value).removeprefix(_ATTACHED) for name, value in values.items() if _is_attached(value)}
    files = {name: values.get(part) for name, part in attached.items()}
    for name, file in files.items():
        if not isinstance(file, web.FileField):
            raise bad_request(f"no file is attached for {name}")
    rest = {name: value for name, value in values.items() if name not in attached.values()}
    return rest | {name: _file(file) for name, file in files.items()}


def _is_attached(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_ATTACHED)


def _file(value: Any) -> BufferedInputFile:  # noqa: ANN401 - a field of a form
    return BufferedInputFile(value.file.read(), value.filename)


def checked(name: str, values: Mapping[str, Any]) -> Method:
    """The call as aiogram's model. Raises ApiError for undocumented or invalid parameters."""
    model = SPECIFICATION[name.lower()]
    unknown = sorted(set(values) - set(model.model_fields))
    if unknown:
        # Telegram ignores unknown parameters; here a misspelt one must not go unnoticed.
        raise bad_request(f"EMULATOR: {name} has no parameter {', '.join(unknown)}")
    given = {field: _decoded(model.model_fields[field].annotation, value) for field, value in values.items()}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _refused(error) from None


def plain(value: Any) -> Any:  # noqa: ANN401 - any parameter
    """The value, or None for one of aiogram's client-side defaults."""
    return None if isinstance(value, Default) else value


def _json_object(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        raise bad_request("can't parse JSON object") from None
    if not isinstance(found, dict):
        raise bad_request("object expected")
    return found


def _decoded(annotation: Any, value: Any) -> Any:  # noqa: ANN401 - pydantic's own annotation
    """Decode JSON in form fields, unless the parameter may be a string."""
    if not isinstance(value, str) or str in _members(annotation):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _members(annotation: Any) -> set[Any]:  # noqa: ANN401 - pydantic's own annotation
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return {member for part in get_args(annotation) for member in _members(part)}
    return {annotation}


def _refused(error: ValidationError) -> ApiError:
    problem = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in problem["loc"][:1])
    if problem["type"] == "missing" and field == "text":
        return bad_request("message text is empty")
    if problem["type"] == "missing" and field == "chat_id":
        return bad_request("chat_id is empty")
    return bad_request(f"can't parse parameter {field}: {problem['msg']}")
