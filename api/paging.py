"""Parts of lists: a cursor names the last row of a part, so that rows that come or go meanwhile shift nothing."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query
from sqlalchemy import Select, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from api.problems import permanent
from contracts.errors import ErrorCode, OrchestratorError

Row = TypeVar("Row", bound=SQLModel)
Place = tuple[Any, ...]

DEFAULT_LIMIT, MAX_LIMIT = 100, 500


@dataclass(frozen=True)
class PageRequest:
    """Which part of a list is wanted: at most `limit` rows behind the one that `cursor` names, or from the start."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None


async def _page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the part before")] = None,
) -> PageRequest:
    return PageRequest(limit, cursor)


PageDep = Annotated[PageRequest, Depends(_page_request)]


async def read_page(
    session: AsyncSession, statement: Select[Row], page: PageRequest, order: Sequence[Any], *, descending: bool = True
) -> tuple[list[Row], str | None]:
    """The rows of this part, and the cursor of the next; None at the end.

    `order` are columns of the row, together unique. Raises INVALID_INPUT for a cursor that no list has given.
    """
    columns: list[Any] = [col(column) for column in order]
    if page.cursor is not None:
        place = _decoded(page.cursor, columns)
        beyond = tuple_(*columns) < tuple_(*place) if descending else tuple_(*columns) > tuple_(*place)
        statement = statement.where(beyond)
    ordered = statement.order_by(*(column.desc() if descending else column.asc() for column in columns))
    rows = list(await session.scalars(ordered.limit(page.limit + 1)))
    if len(rows) <= page.limit:
        return rows, None
    rows.pop()
    return rows, encoded(tuple(getattr(rows[-1], column.key) for column in columns))


def encoded(place: Place) -> str:
    """A place in a list as its cursor; a client passes it on as it is."""
    values = [value.isoformat() if isinstance(value, datetime) else value for value in place]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _decoded(cursor: str, columns: Sequence[Any]) -> Place:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != len(columns):
            raise bad_cursor()
        pairs = zip(values, columns, strict=True)
        # With the column's own type: PostgreSQL would take a moment for one without a time zone.
        return tuple(literal(_value(value, column.type.python_type), column.type) for value, column in pairs)
    except (ValueError, RecursionError):
        raise bad_cursor() from None


def _value(value: object, kind: type) -> object:
    if kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment
    elif type(value) is kind and (not isinstance(value, str) or value.isprintable()):
        return value
    raise ValueError("not a value of this column")


def bad_cursor() -> OrchestratorError:
    """The refusal of a cursor that no list has given."""
    return permanent(
        ErrorCode.INVALID_INPUT, "This cursor is not one that this list gave. Leave it out to begin at the start."
    )
