"""Code of a resource: model, routes, pages and their tests; its table is in `migrations.py`. Its layout is what the
project's formatter makes, however long the names are, because every list that may grow is written one item per line."""

import ast
from collections.abc import Callable, Mapping, Sequence

from .wish import Entity, Field

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

PAGES_TEST = """from fastapi.testclient import TestClient

PATH = "/{path}"
PAGE = "/pages/{path}"
SENT = {{
{samples}
}}
OTHER = {{
{others}
}}
REQUIRED: list[str] = [
{required}
]


def test_what_a_form_sends_is_stored_changed_and_deleted(client: TestClient) -> None:
    assert client.post(PAGE, data=SENT).status_code == 200
    [first] = client.get(PATH).json()
    one = f"{{PAGE}}/{{first['id']}}"
    assert client.get(one).status_code == 200
    assert client.post(one, data=OTHER).status_code == 200
    [second] = client.get(PATH).json()
    assert second["id"] == first["id"]
    assert second != first
    assert client.post(f"{{one}}/delete").status_code == 200
    assert client.get(PATH).json() == []


def test_a_form_without_what_is_required_says_so_and_stores_nothing(client: TestClient) -> None:
    answer = client.post(PAGE, data={{}})
    assert answer.status_code == (422 if REQUIRED else 200)
    assert len(client.get(PATH).json()) == (0 if REQUIRED else 1)
"""

HIDDEN = """HIDDEN: list[str] = [
{hidden}
]


def seen(values: dict[str, object]) -> dict[str, object]:
    return {{name: value for name, value in values.items() if name not in HIDDEN}}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_password_is_stored_as_a_hash_and_never_returned(client: TestClient, name: str) -> None:
    assert passwords.matches("a password", passwords.hashed("a password"))
    assert not passwords.matches("another", passwords.hashed("a password"))
    created = client.post(PATH, json=SENT)
    one = f"{{PATH}}/{{created.json()['id']}}"
    changed = client.patch(one, json={{name: OTHER[name]}})
    for answer in (created, changed, client.get(one), client.get(PATH)):
        assert f'"{{name}}"' not in answer.text
        assert "scrypt" not in answer.text
"""

TESTS = """import pytest
from fastapi.testclient import TestClient
{passwords}
PATH = "/{path}"
SENT = {{
{samples}
}}
OTHER = {{
{others}
}}
REQUIRED: list[str] = [
{required}
]
{hiding}

def test_a_created_one_can_be_read_and_listed(client: TestClient) -> None:
    answer = client.post(PATH, json=SENT)
    assert answer.status_code == 201
    created = answer.json()
    assert created == {{"id": created["id"], **{sent}}}
    assert client.get(f"{{PATH}}/{{created['id']}}").json() == created
    assert client.get(PATH).json() == [created]


@pytest.mark.parametrize("name", SENT)
def test_one_field_changes_and_the_others_stay(client: TestClient, name: str) -> None:
    created = client.post(PATH, json=SENT).json()
    answer = client.patch(f"{{PATH}}/{{created['id']}}", json={{name: OTHER[name]}})
    assert answer.status_code == 200
    assert answer.json() == {{**created, {change}}}


def test_one_is_replaced(client: TestClient) -> None:
    created = client.post(PATH, json=SENT).json()
    answer = client.put(f"{{PATH}}/{{created['id']}}", json=OTHER)
    assert answer.json() == {{"id": created["id"], **{other}}}
    assert client.get(f"{{PATH}}/{{created['id']}}").json() == answer.json()


def test_a_deleted_one_is_gone_and_the_others_stay(client: TestClient) -> None:
    created = client.post(PATH, json=SENT).json()
    kept = client.post(PATH, json=OTHER).json()
    assert client.delete(f"{{PATH}}/{{created['id']}}").status_code == 204
    assert client.get(f"{{PATH}}/{{created['id']}}").status_code == 404
    assert client.get(PATH).json() == [kept]


@pytest.mark.parametrize("row_id", [0, 999_999, 2**70])
def test_an_unknown_one_answers_404(client: TestClient, row_id: int) -> None:
    assert client.get(f"{{PATH}}/{{row_id}}").status_code == 404
    assert client.put(f"{{PATH}}/{{row_id}}", json=SENT).status_code == 404
    assert client.patch(f"{{PATH}}/{{row_id}}", json=SENT).status_code == 404
    assert client.delete(f"{{PATH}}/{{row_id}}").status_code == 404


@pytest.mark.parametrize("name", SENT)
def test_a_field_of_a_wrong_type_answers_422(client: TestClient, name: str) -> None:
    answer = client.post(PATH, json={{**SENT, name: {{"not": "valid"}}}})
    assert answer.status_code == 422
    assert client.get(PATH).json() == []


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_field_is_neither_left_out_nor_null(client: TestClient, name: str) -> None:
    without = {{key: value for key, value in SENT.items() if key != name}}
    assert client.post(PATH, json=without).status_code == 422
    created = client.post(PATH, json=SENT).json()
    assert client.patch(f"{{PATH}}/{{created['id']}}", json={{name: None}}).status_code == 422
"""


def files(entity: Entity, pages: bool = False) -> dict[str, str]:
    """Paths in the project and their whole content; with its pages for people if there is a module for them."""
    names = _names(entity)
    routes, test, page, page_test = shown_by(entity)
    found = {
        model_path(entity): _model(entity),
        routes: ROUTES.format(**names, **_decorators(entity)),
        test: _with_samples(TESTS, entity, _sample),
    }
    if has_passwords(entity):
        found[PASSWORDS_PATH] = PASSWORDS
    elif pages:
        found |= {page: PAGES.format(**names), page_test: _with_samples(PAGES_TEST, entity, _typed)}
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


def _with_samples(code: str, entity: Entity, sample: Callable[[Field, bool], str | None]) -> str:
    def lines(first: bool) -> str:
        values = [(one.name, sample(one, first)) for one in entity.fields]
        return "\n".join(f'    "{name}": {value},' for name, value in values if value is not None)

    required = "\n".join(f'    "{one.name}",' for one in entity.fields if one.required)
    filled = code.format(
        path=entity.path, samples=lines(True), others=lines(False), required=required, **_hiding(entity)
    )
    return filled.replace("REQUIRED: list[str] = [\n\n]", "REQUIRED: list[str] = []")


def _hiding(entity: Entity) -> dict[str, str]:
    """What tests know of fields that are sent and not returned."""
    hidden = "\n".join(f'    "{one.name}",' for one in entity.fields if one.type == "password")
    if not hidden:
        return {"passwords": "", "hiding": "", "sent": "SENT", "other": "OTHER", "change": "name: OTHER[name]"}
    return {
        "passwords": "\nfrom services.backend import passwords\n",
        "hiding": HIDDEN.format(hidden=hidden),
        "sent": "seen(SENT)",
        "other": "seen(OTHER)",
        "change": "**seen({name: OTHER[name]})",
    }


def _sample(field: Field, first: bool) -> str:
    samples: Mapping[str, tuple[str, str]] = {
        "string": ('"first"', '"second"'), "password": ('"one of many"', '"another"'),
        "text": ('"first\\nline"', '"second\\nline"'),
        "integer": ("1", "-2"), "number": ("1.5", "-2.25"), "boolean": ("True", "False"),
        "date": ('"2026-01-31"', '"2024-02-29"'), "datetime": ('"2026-01-31T12:30:00Z"', '"2024-02-29T00:00:00Z"'),
    }  # fmt: skip
    return samples[field.type][0 if first else 1]


def _typed(field: Field, first: bool) -> str | None:
    """The sample as a form sends it; None is a box that is not checked, which forms leave out."""
    if field.type == "boolean":
        return '"on"' if first else None
    value = _sample(field, first).replace("Z", "")
    return value if value.startswith('"') else f'"{value}"'
