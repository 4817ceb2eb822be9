"""An unavailable database is an outage like the API's own: callers wait, and no work fails."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.database import is_unreachable, make_engine
from contracts.errors import ErrorCode, OrchestratorError


class ServerError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


async def test_a_missing_server_is_an_outage(tmp_path: Path) -> None:
    engine = make_engine(f"postgresql+asyncpg://nobody@/nothing?host={tmp_path}")
    with pytest.raises(OrchestratorError) as refused:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    assert refused.value.code is ErrorCode.DATABASE_UNREACHABLE
    assert (refused.value.retryable, refused.value.http_status) == (True, 503)


@pytest.mark.parametrize(
    ("sqlstate", "away"), [("57P01", True), ("57P03", True), ("08006", True), ("23505", False), ("22003", False)]
)
def test_a_server_that_leaves_is_told_from_a_statement_that_fails(sqlstate: str, away: bool) -> None:
    assert is_unreachable(DBAPIError("SELECT 1", None, ServerError(sqlstate))) is away
