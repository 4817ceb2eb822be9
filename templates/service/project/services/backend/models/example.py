"""Example: what is sent, what is stored, what is returned."""

from pydantic import BaseModel

from services.backend import database, fields

TABLE = database.Table(
    "examples",
    {
        "title": "TEXT NOT NULL DEFAULT ''",
        "comment": "TEXT",
    },
)


class ExampleInput(BaseModel):
    title: fields.String
    comment: fields.Text | None = None


class ExampleChange(BaseModel):
    title: fields.String = fields.UNCHANGED
    comment: fields.Text | None = None


class Example(ExampleInput):
    id: int
