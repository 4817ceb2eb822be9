"""Code of a resource: model with table, routes and tests. Its layout is what the project's formatter makes,
however long the names are, because every list that may grow is written one item per line."""

import ast
from collections.abc import Mapping

from .wish import Entity, Field

PYTHON_TYPES = {
    "string": "String", "text": "Text", "integer": "Integer", "number": "Number",
    "boolean": "Boolean", "date": "Date", "datetime": "DateTime",
}  # fmt: skip
COLUMN_TYPES = {
    "string": ("TEXT", "''"), "text": ("TEXT", "''"), "integer": ("INTEGER", "0"), "number": ("REAL", "0"),
    "boolean": ("INTEGER", "0"), "date": ("TEXT", "'1970-01-01'"), "datetime": ("TEXT", "'1970-01-01T00:00:00'"),
}  # fmt: skip

MODEL = '''"""{title}: what is sent, what is stored, what is returned."""

from pydantic import BaseModel

from services.backend import database, fields

TABLE = database.Table(
    "{table}",
    {{
{columns}
    }},
)


class {name}Input(BaseModel):
{inputs}


class {name}Change(BaseModel):
{changes}


class {name}({name}Input):
    id: int
'''

ROUTES = '''"""{title}: create, list, read, replace, change, delete."""

from typing import Any

from fastapi import APIRouter, HTTPException, status

from services.backend import database, fields
from services.backend.models import {singular} as model

MISSING = "no such {words}"

router = APIRouter(
    prefix="/{path}",
    tags=["{path}"],
)


@router.post(
    "",
    response_model=model.{name},
    status_code=status.HTTP_201_CREATED,
)
def create(
    body: model.{name}Input,
    connection: database.Connection,
) -> dict[str, Any]:
    row_id = model.TABLE.insert(connection, body.model_dump(mode="json"))
    return existing(row_id, connection)


@router.get("", response_model=list[model.{name}])
def page(
    connection: database.Connection,
    limit: fields.Limit = 100,
    offset: fields.Offset = 0,
) -> list[dict[str, Any]]:
    return model.TABLE.page(connection, limit, offset)


@router.get("/{{row_id}}", response_model=model.{name})
def read(row_id: int, connection: database.Connection) -> dict[str, Any]:
    return existing(row_id, connection)


@router.put("/{{row_id}}", response_model=model.{name})
def replace(
    row_id: int,
    body: model.{name}Input,
    connection: database.Connection,
) -> dict[str, Any]:
    model.TABLE.update(connection, row_id, body.model_dump(mode="json"))
    return existing(row_id, connection)


@router.patch("/{{row_id}}", response_model=model.{name})
def change(
    row_id: int,
    body: model.{name}Change,
    connection: database.Connection,
) -> dict[str, Any]:
    sent = body.model_dump(mode="json", exclude_unset=True)
    model.TABLE.update(connection, row_id, sent)
    return existing(row_id, connection)


@router.delete("/{{row_id}}", status_code=status.HTTP_204_NO_CONTENT)
def delete(row_id: int, connection: database.Connection) -> None:
    if not model.TABLE.delete(connection, row_id):
        raise HTTPException(status.HTTP_404_NOT_FOUND, MISSING)


def existing(row_id: int, connection: database.Connection) -> dict[str, Any]:
    row = model.TABLE.one(connection, row_id)
    if row is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, MISSING)
    return row
'''

TESTS = """import pytest
from fastapi.testclient import TestClient

PATH = "/{path}"
SENT = {{
{samples}
}}
OTHER = {{
{others}
}}
REQUIRED = [
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


def files(entity: Entity) -> dict[str, str]:
    """Paths in the project and their whole content."""
    routes = entity.path.replace("-", "_")
    words = _words(entity)
    return {
        f"services/backend/models/{entity.singular}.py": _model(entity, words),
        f"services/backend/routes/{routes}.py": ROUTES.format(
            title=entity.path.replace("-", " ").replace("_", " ").capitalize(),
            singular=entity.singular,
            words=_words(entity),
            path=entity.path,
            name=_class_name(entity),
        ),
        f"tests/backend/test_{routes}.py": _tests(entity),
    }


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


def _words(entity: Entity) -> str:
    return entity.singular.replace("_", " ")


def _class_name(entity: Entity) -> str:
    return "".join(part.capitalize() for part in entity.singular.split("_"))


def _model(entity: Entity, words: str) -> str:
    return MODEL.format(
        title=words.capitalize(),
        table=entity.path.replace("-", "_"),
        name=_class_name(entity),
        columns="\n".join(f'        "{one.name}": "{_column(one)}",' for one in entity.fields),
        inputs="\n".join(f"    {_annotation(one)}" for one in entity.fields),
        changes="\n".join(f"    {_annotation(one, change=True)}" for one in entity.fields),
    )


def _column(field: Field) -> str:
    kind, default = COLUMN_TYPES[field.type]
    return f"{kind} NOT NULL DEFAULT {default}" if _never_null(field) else kind


def _never_null(field: Field) -> bool:
    return field.required or field.type == "boolean"


def _annotation(field: Field, change: bool = False) -> str:
    kind = f"{field.name}: fields.{PYTHON_TYPES[field.type]}"
    if not _never_null(field):
        return f"{kind} | None = None"
    if change:
        return f"{kind} = fields.UNCHANGED"
    return kind if field.required else f"{kind} = False"


def _tests(entity: Entity) -> str:
    return TESTS.format(
        path=entity.path,
        samples="\n".join(f'    "{one.name}": {_sample(one, first=True)},' for one in entity.fields),
        others="\n".join(f'    "{one.name}": {_sample(one, first=False)},' for one in entity.fields),
        required="\n".join(f'    "{one.name}",' for one in entity.fields if one.required),
    ).replace("REQUIRED = [\n\n]", "REQUIRED = []")


def _sample(field: Field, first: bool) -> str:
    samples: Mapping[str, tuple[str, str]] = {
        "string": ('"first"', '"second"'), "text": ('"first\\nline"', '"second\\nline"'),
        "integer": ("1", "-2"), "number": ("1.5", "-2.25"), "boolean": ("True", "False"),
        "date": ('"2026-01-31"', '"2024-02-29"'), "datetime": ('"2026-01-31T12:30:00"', '"2024-02-29T00:00:00"'),
    }  # fmt: skip
    return samples[field.type][0 if first else 1]
