"""Examples: create, list, read, replace, change, delete."""

from typing import Any

from fastapi import APIRouter, HTTPException, status

from services.backend import database, fields
from services.backend.models import example as model

MISSING = "no such example"

router = APIRouter(
    prefix="/examples",
    tags=["examples"],
)


@router.post(
    "",
    response_model=model.Example,
    status_code=status.HTTP_201_CREATED,
)
def create(
    body: model.ExampleInput,
    connection: database.Connection,
) -> dict[str, Any]:
    row_id = model.TABLE.insert(connection, body.model_dump(mode="json"))
    return existing(row_id, connection)


@router.get("", response_model=list[model.Example])
def page(
    connection: database.Connection,
    limit: fields.Limit = 100,
    offset: fields.Offset = 0,
) -> list[dict[str, Any]]:
    return model.TABLE.page(connection, limit, offset)


@router.get("/{row_id}", response_model=model.Example)
def read(row_id: int, connection: database.Connection) -> dict[str, Any]:
    return existing(row_id, connection)


@router.put("/{row_id}", response_model=model.Example)
def replace(
    row_id: int,
    body: model.ExampleInput,
    connection: database.Connection,
) -> dict[str, Any]:
    model.TABLE.update(connection, row_id, body.model_dump(mode="json"))
    return existing(row_id, connection)


@router.patch("/{row_id}", response_model=model.Example)
def change(
    row_id: int,
    body: model.ExampleChange,
    connection: database.Connection,
) -> dict[str, Any]:
    sent = body.model_dump(mode="json", exclude_unset=True)
    model.TABLE.update(connection, row_id, sent)
    return existing(row_id, connection)


@router.delete("/{row_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete(row_id: int, connection: database.Connection) -> None:
    if not model.TABLE.delete(connection, row_id):
        raise HTTPException(status.HTTP_404_NOT_FOUND, MISSING)


def existing(row_id: int, connection: database.Connection) -> dict[str, Any]:
    row = model.TABLE.one(connection, row_id)
    if row is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, MISSING)
    return row
