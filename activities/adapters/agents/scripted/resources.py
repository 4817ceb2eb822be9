"""Code of a resource: model, routes, pages and their tests; its table is in `migrations.py`. Its layout is what the
project's formatter makes, however long the names are, because every list that may grow is written one item per line."""

import ast
from collections.abc import Callable, Mapping, Sequence

from .wish import Entity, Field

PYTHON_TYPES = {
    "string": "String", "text": "Text", "integer": "Integer", "number": "Number",
    "boolean": "Boolean", "date": "Date", "datetime": "DateTime",
}  # fmt: skip
LINE_LENGTH = 100

MODEL = '''"""{title}: what is sent, what is stored."""

from sqlmodel import SQLModel

from services.backend import database, fields


class {name}Input(SQLModel):
{inputs}


class {name}Change(SQLModel):
{changes}


{table_class}
    __tablename__ = "{table}"
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


@router.post("", status_code=status.HTTP_201_CREATED)
def create(
    body: model.{name}Input,
    session: database.Session,
) -> model.{name}:
    return database.insert(session, model.{name}, body)


@router.get("")
def page(
    session: database.Session,
    limit: fields.Limit = 100,
    offset: fields.Offset = 0,
) -> Sequence[model.{name}]:
    return database.page(session, model.{name}, limit, offset)


@router.get("/{{row_id}}")
def read(
    row_id: int,
    session: database.Session,
) -> model.{name}:
    return database.find(session, model.{name}, row_id)


@router.put("/{{row_id}}")
def replace(
    row_id: int,
    body: model.{name}Input,
    session: database.Session,
) -> model.{name}:
    values = body.model_dump()
    return database.change(session, model.{name}, row_id, values)


@router.patch("/{{row_id}}")
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

TESTS = """import pytest
from fastapi.testclient import TestClient

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


def test_a_created_one_can_be_read_and_listed(client: TestClient) -> None:
    answer = client.post(PATH, json=SENT)
    assert answer.status_code == 201
    created = answer.json()
    assert created == {{"id": created["id"], **SENT}}
    assert client.get(f"{{PATH}}/{{created['id']}}").json() == created
    assert client.get(PATH).json() == [created]


@pytest.mark.parametrize("name", SENT)
def test_one_field_changes_and_the_others_stay(client: TestClient, name: str) -> None:
    created = client.post(PATH, json=SENT).json()
    answer = client.patch(f"{{PATH}}/{{created['id']}}", json={{name: OTHER[name]}})
    assert answer.status_code == 200
    assert answer.json() == {{**created, name: OTHER[name]}}


def test_one_is_replaced(client: TestClient) -> None:
    created = client.post(PATH, json=SENT).json()
    answer = client.put(f"{{PATH}}/{{created['id']}}", json=OTHER)
    assert answer.json() == {{"id": created["id"], **OTHER}}
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
    routes = entity.path.replace("-", "_")
    names = _names(entity)
    found = {
        model_path(entity): _model(entity),
        f"services/backend/routes/{routes}.py": ROUTES.format(**names),
        f"tests/backend/test_{routes}.py": _with_samples(TESTS, entity, _sample),
    }
    if pages:
        found |= {
            f"services/web/pages/{routes}.py": PAGES.format(**names),
            f"tests/web/test_{routes}.py": _with_samples(PAGES_TEST, entity, _typed),
        }
    return found


def existing_fields(model: str) -> tuple[Field, ...]:
    """The fields of a model that this module wrote; none for code of another shape."""
    types = {python: kind for kind, python in PYTHON_TYPES.items()}
    found: list[Field] = []
    for statement in ast.walk(ast.parse(model)):
        if not isinstance(statement, ast.ClassDef) or not statement.name.endswith("Input"):
            continue
        for line in (item for item in statement.body if isinstance(item, ast.AnnAssign)):
            python = ast.unparse(line.annotation).removeprefix("fields.").removesuffix(" | None")
            if isinstance(line.target, ast.Name) and python in types:
                found.append(Field(line.target.id, types[python], line.value is None))
    return tuple(found)


def model_path(entity: Entity) -> str:
    return f"services/backend/models/{entity.singular}.py"


def table_name(entity: Entity) -> str:
    return entity.path.replace("-", "_")


def never_null(field: Field) -> bool:
    return field.required or field.type == "boolean"


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
    return MODEL.format(
        title=entity.singular.replace("_", " ").capitalize(),
        table=table_name(entity),
        name=name,
        table_class=_class(name, (f"{name}Input", "database.Row", "table=True")),
        inputs="\n".join(f"    {_annotation(one)}" for one in entity.fields),
        changes="\n".join(f"    {_annotation(one, change=True)}" for one in entity.fields),
    )


def _class(name: str, bases: Sequence[str]) -> str:
    line = f"class {name}({', '.join(bases)}):"
    return line if len(line) <= LINE_LENGTH else "\n".join([f"class {name}(", *(f"    {one}," for one in bases), "):"])


def _annotation(field: Field, change: bool = False) -> str:
    kind = f"{field.name}: fields.{PYTHON_TYPES[field.type]}"
    if not never_null(field):
        return f"{kind} | None = None"
    if change:
        return f"{kind} = fields.UNCHANGED"
    return kind if field.required else f"{kind} = False"


def _with_samples(code: str, entity: Entity, sample: Callable[[Field, bool], str | None]) -> str:
    def lines(first: bool) -> str:
        values = [(one.name, sample(one, first)) for one in entity.fields]
        return "\n".join(f'    "{name}": {value},' for name, value in values if value is not None)

    required = "\n".join(f'    "{one.name}",' for one in entity.fields if one.required)
    filled = code.format(path=entity.path, samples=lines(True), others=lines(False), required=required)
    return filled.replace("REQUIRED: list[str] = [\n\n]", "REQUIRED: list[str] = []")


def _sample(field: Field, first: bool) -> str:
    samples: Mapping[str, tuple[str, str]] = {
        "string": ('"first"', '"second"'), "text": ('"first\\nline"', '"second\\nline"'),
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
