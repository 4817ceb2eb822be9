"""Types of fields. Every value that passes them fits into SQLite and into JSON."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, Field


def in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


String = Annotated[str, Field(max_length=10_000)]
Text = Annotated[str, Field(max_length=1_000_000)]
Integer = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Boolean = bool
Date = date
DateTime = Annotated[datetime, AfterValidator(in_utc)]
"""In UTC: a time without a zone is taken for UTC, another zone is converted."""

UNCHANGED: Any = None
"""Default of a field in a partial change. It is never stored: only fields that were sent are."""

Limit = Annotated[int, Query(ge=1, le=1_000, description="Most rows to return")]
Offset = Annotated[int, Query(ge=0, le=2**63 - 1, description="Rows to skip")]
