"""Code of a resource: model, routes and pages; its table is in `migrations.py`, its tests are in `resource_tests.py`.

Its layout is what the project's formatter makes, however long the names are: every list that may grow is written
one item per line.
"""

import ast
from collections.abc import Sequence

from ..reading.wish import Entity, Field
from . import resource_tests

PYTHON_TYPES = {
    "string": "String", "text": "Text", "integer": "Integer", "number": "Number",
    "boolean": "Boolean", "date": "Date", "datetime": "DateTime", "password": "Password",
}  # fmt: skip
LINE_LENGTH = 100

MODEL = '''"""{title}: what is sent, what is stored."""

from sqlmodel import SQLModel

from services.backend import {imports}


class {name}Input(SQLModel):
{inputs}


class {name}Change(SQLModel):
{changes}

{view}
{table_class}
    __tablename__ = "{table}"
{columns}'''

VIEW = '''
class {name}View(SQLModel):
    """What is returned: neither passwords nor what only earlier releases know."""

    id: int
{shown}

'''

PASSWORDS_PATH = "services/backend/passwords.py"
PASSWORDS = '''"""Passwords: only a salted hash is stored, and nothing returns it."""

import hashlib
import hmac
import secrets
from typing import Annotated

from pydantic import AfterValidator, Field

COST, BLOCK, LANES = 2**14, 8, 1


def hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_derived(password, salt)}"


def matches(password: str, stored: str) -> bool:
    """Whether this password was stored as `stored`."""
    kind, salt, derived = stored.split("$")
    wanted = _derived(password, bytes.fromhex(salt))
    return kind == "scrypt" and hmac.compare_digest(derived, wanted)


def _derived(password: str, salt: bytes) -> str:
    return hashlib.scrypt(password.encode(), salt=salt, n=COST, r=BLOCK, p=LANES).hex()


Password = Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(hashed)]
'''

ROUTES = '''"""{title}: create, list, read, replace, change, delete."""

from collections.abc import Sequence

from fastapi import APIRouter, status

from services.backend import database, fields
from services.backend.models import {singular} as model

router = APIRouter(
    prefix="/{path}",
    tags=["{path}"],
)


@router.post({created})
def create(
    body: model.{name}Input,
    session: database.Session,
) -> model.{name}:
    return database.insert(session, model.{name}, body)


@router.get({listed})
def page(
    session: database.Session,
    limit: fields.Limit = 100,
    offset: fields.Offset = 0,
) -> Sequence[model.{name}]:
    return database.page(session, model.{name}, limit, offset)


@router.get({one})
def read(
    row_id: int,
    session: database.Session,
) -> model.{name}:
    return database.find(session, model.{name}, row_id)


@router.put({one})
def replace(
    row_id: int,
    body: model.{name}Input,
    session: database.Session,
) -> model.{name}:
    values = body.model_dump()
    return database.change(session, model.{name}, row_id, values)


@router.patch({one})
def change(
    row_id: int,
    body: model.{name}Change,
    session: database.Session,
) -> model.{name}:
    values = body.model_dump(exclude_unset=True)
    return database.change(session, model.{name}, row_id, values)


@router.delete("/{{row_id}}", status_code=status.HTTP_204_NO_CONTENT)
def delete(row_id: int, session: database.Session) -> None:
    database.delete(session, model.{name}, row_id)
'''

PAGES = '''"""Pages of {words}."""

from services.backend.models import {singular} as model
from services.web.resource import Resource

RESOURCE = Resource(
    "{path}",
    model.{name},
    model.{name}Input,
)
'''


def files(entity: Entity, pages: bool = False) -> dict[str, str]:
    """Paths in the project and their whole content; with its pages for people if there is a module for them."""
    names = _names(entity)
    routes, test, page, page_test = shown_by(entity)
    found = {
        model_path(entity): _model(entity),
        routes: ROUTES.format(**names, **_decorators(entity)),
        test: resource_tests.with_samples(resource_tests.TESTS, entity, resource_tests.sent),
    }
    if has_passwords(entity):
        found[PASSWORDS_PATH] = PASSWORDS
    elif pages:
        found |= {
            page: PAGES.format(**names),
            page_test: resource_tests.with_samples(resource_tests.PAGES_TEST, entity, resource_tests.typed),
        }
    return found


def shown_by(entity: Entity) -> tuple[str, str, str, str]:
    """The files that make an entity visible: routes and pages, and their tests."""
    routes = table_name(entity)
    return (
        f"services/backend/routes/{routes}.py",
        f"tests/backend/test_{routes}.py",
        f"services/web/pages/{routes}.py",
        f"tests/web/test_{routes}.py",
    )


def has_passwords(entity: Entity) -> bool:
    return any(one.type == "password" for one in entity.fields)


def existing_fields(model: str) -> tuple[Field, ...]:
    """The fields of a model that this module wrote; none for code of another shape."""
    found: list[Field] = []
    for statement in ast.walk(ast.parse(model)):
        if not isinstance(statement, ast.ClassDef) or not statement.name.endswith("Input"):
            continue
        for line in (item for item in statement.body if isinstance(item, ast.AnnAssign)):
            if (one := _read(line)) is not None:
                found.append(one)
    return tuple(found)


def retired_fields(model: str) -> tuple[Field, ...]:
    """The columns of a model that its input has no more."""
    active = {one.name for one in existing_fields(model)}
    tables = [one for one in ast.walk(ast.parse(model)) if isinstance(one, ast.ClassDef) and one.keywords]
    read = [_read(line) for table in tables for line in table.body if isinstance(line, ast.AnnAssign)]
    return tuple(one for one in read if one is not None and one.name not in active)


def _read(line: ast.AnnAssign) -> Field | None:
    types = {python: kind for kind, python in PYTHON_TYPES.items()}
    python = ast.unparse(line.annotation).rpartition(".")[2].removesuffix(" | None")
    if not isinstance(line.target, ast.Name) or python not in types:
        return None
    return Field(line.target.id, types[python], line.value is None)


def model_path(entity: Entity) -> str:
    return f"services/backend/models/{entity.singular}.py"


def table_name(entity: Entity) -> str:
    return entity.path.replace("-", "_")


def never_null(field: Field) -> bool:
    return field.required or field.type == "boolean"


def stored_type(field: Field) -> str:
    """The type of the column: that of a password is the type of its hash."""
    return "string" if field.type == "password" else field.type


def _names(entity: Entity) -> dict[str, str]:
    return {
        "title": table_name(entity).replace("_", " ").capitalize(),
        "words": table_name(entity).replace("_", " "),
        "singular": entity.singular,
        "path": entity.path,
        "name": "".join(part.capitalize() for part in entity.singular.split("_")),
    }


def _model(entity: Entity) -> str:
    name = _names(entity)["name"]
    passwords = ", passwords" if has_passwords(entity) else ""
    return MODEL.format(
        title=entity.singular.replace("_", " ").capitalize(),
        table=table_name(entity),
        name=name,
        imports=f"database, fields{passwords}",
        table_class=_class(name, (f"{name}Input", "database.Row", "table=True")),
        inputs="\n".join(f"    {_annotation(one)}" for one in entity.fields),
        changes="\n".join(f"    {_annotation(one, change=True)}" for one in entity.fields),
        view=_view(name, entity) if _has_view(entity) else "",
        columns=_columns(entity),
    )


def _has_view(entity: Entity) -> bool:
    return bool(entity.retired) or has_passwords(entity)


def _view(name: str, entity: Entity) -> str:
    shown = [f"    {_annotation(one)}" for one in entity.fields if one.type != "password"]
    return VIEW.format(name=name, shown="\n".join(shown)).replace("id: int\n\n\n", "id: int\n\n")


def _columns(entity: Entity) -> str:
    """What the table has and the input has not, or has as something else: the hash of a password is stored as it is."""
    hashes = [Field(one.name, "string", one.required) for one in entity.fields if one.type == "password"]
    retired = [Field(one.name, stored_type(one), False) for one in entity.retired]
    lines = [f"    {one.name}: {_kind(one)}{'' if one.required else ' | None = None'}" for one in (*hashes, *retired)]
    return "".join(f"{line}\n" for line in lines)


def _decorators(entity: Entity) -> dict[str, str]:
    """The arguments of the routes' decorators."""
    if not _has_view(entity):
        created = '"", status_code=status.HTTP_201_CREATED'
        return {"created": created, "listed": '""', "one": '"/{row_id}"'}
    view = f"model.{_names(entity)['name']}View"

    def lines(*arguments: str) -> str:
        return "\n" + "".join(f"    {one},\n" for one in arguments)

    return {
        "created": lines('""', "status_code=status.HTTP_201_CREATED", f"response_model={view}"),
        "listed": lines('""', f"response_model=list[{view}]"),
        "one": lines('"/{row_id}"', f"response_model={view}"),
    }


def _class(name: str, bases: Sequence[str]) -> str:
    line = f"class {name}({', '.join(bases)}):"
    return line if len(line) <= LINE_LENGTH else "\n".join([f"class {name}(", *(f"    {one}," for one in bases), "):"])


def _annotation(field: Field, change: bool = False) -> str:
    kind = f"{field.name}: {_kind(field)}"
    if not never_null(field):
        return f"{kind} | None = None"
    if change:
        return f"{kind} = fields.UNCHANGED"
    return kind if field.required else f"{kind} = False"


def _kind(field: Field) -> str:
    return f"{'passwords' if field.type == 'password' else 'fields'}.{PYTHON_TYPES[field.type]}"
