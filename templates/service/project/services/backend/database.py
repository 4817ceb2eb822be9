"""SQLite in DATA_DIR: the data outlives restarts and releases."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import sqlmodel
from fastapi import Depends, HTTPException, Request, status
from sqlalchemy import URL, Engine, create_engine
from sqlmodel import Field, SQLModel, col, select

FILE_NAME = "backend.sqlite3"
LARGEST_ID = 2**63 - 1
BUSY_TIMEOUT_S = 10


class Row(SQLModel):
    """What every table has."""

    id: int = Field(default=None, primary_key=True)


Kind = TypeVar("Kind", bound=Row)


def engine(data_dir: Path) -> Engine:
    data_dir.mkdir(parents=True, exist_ok=True)
    url = URL.create("sqlite", database=str(data_dir / FILE_NAME))
    return create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})


def open_session(request: Request) -> Iterator[sqlmodel.Session]:
    """One session and one transaction per request: committed at its end, rolled back on an error."""
    with (
        sqlmodel.Session(request.app.state.engine, expire_on_commit=False) as session,
        session.begin(),
    ):
        yield session


# The scope ends the transaction before the answer leaves: who reads "created" can read the row.
Session = Annotated[sqlmodel.Session, Depends(open_session, scope="function")]


def page(
    session: sqlmodel.Session, kind: type[Kind], limit: int, offset: int = 0
) -> Sequence[Kind]:
    """At most `limit` rows in the order of their ids, after the first `offset`."""
    wanted = select(kind).order_by(col(kind.id)).limit(limit).offset(offset)
    rows: Sequence[Kind] = session.exec(wanted).all()
    return rows


def find(session: sqlmodel.Session, kind: type[Kind], row_id: int) -> Kind:
    """The row; HTTPException 404 when there is none."""
    row: Kind | None = session.get(kind, row_id) if 0 < row_id <= LARGEST_ID else None
    if row is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"no {kind.__name__} with this id")
    return row


def insert(session: sqlmodel.Session, kind: type[Kind], values: SQLModel) -> Kind:
    """A new row, which has its id."""
    row = kind.model_validate(values)
    session.add(row)
    session.flush()
    return row


def change(
    session: sqlmodel.Session, kind: type[Kind], row_id: int, values: dict[str, object]
) -> Kind:
    """The row with these values; HTTPException 404 when there is none."""
    return find(session, kind, row_id).sqlmodel_update(values)


def delete(session: sqlmodel.Session, kind: type[Kind], row_id: int) -> None:
    """HTTPException 404 when there is no such row."""
    session.delete(find(session, kind, row_id))
