"""SQLite in DATA_DIR: the data outlives restarts and releases.

Table and column names come from the code of the project, values are always bound.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

FILE_NAME = "backend.sqlite3"
LARGEST_ID = 2**63 - 1
BUSY_TIMEOUT_S = 10


def connect(data_dir: Path) -> sqlite3.Connection:
    # FastAPI may open a connection in one thread of its pool and use it in another, never in two at once.
    connection = sqlite3.connect(
        data_dir / FILE_NAME, timeout=BUSY_TIMEOUT_S, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    return connection


def session(request: Request) -> Iterator[sqlite3.Connection]:
    """One connection and one transaction per request: committed at its end, rolled back on an error."""
    with closing(connect(request.app.state.settings.data_dir)) as connection, connection:
        yield connection


# The scope ends the transaction before the answer leaves: who reads "created" can read the row.
Connection = Annotated[sqlite3.Connection, Depends(session, scope="function")]


@dataclass(frozen=True)
class Table:
    """A table with an `id` and the given columns (name to SQL type)."""

    name: str
    columns: Mapping[str, str]

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Create the table, or add the columns that a newer release brought. Repeating it changes nothing."""
        connection.execute(
            f'CREATE TABLE IF NOT EXISTS "{self.name}" (id INTEGER PRIMARY KEY AUTOINCREMENT)'
        )
        present = {row["name"] for row in connection.execute(f'PRAGMA table_info("{self.name}")')}
        for column, sql_type in self.columns.items():
            if column not in present:
                connection.execute(f'ALTER TABLE "{self.name}" ADD COLUMN "{column}" {sql_type}')

    def insert(self, connection: sqlite3.Connection, values: Mapping[str, Any]) -> int:
        names = ", ".join(f'"{column}"' for column in self.columns)
        marks = ", ".join("?" for _ in self.columns)
        cursor = connection.execute(
            f'INSERT INTO "{self.name}" ({names}) VALUES ({marks})',
            [values[column] for column in self.columns],
        )
        return int(cursor.lastrowid or 0)

    def one(self, connection: sqlite3.Connection, row_id: int) -> dict[str, Any] | None:
        if not 0 < row_id <= LARGEST_ID:
            return None
        row = connection.execute(f'SELECT * FROM "{self.name}" WHERE id = ?', [row_id]).fetchone()
        return dict(row) if row else None

    def page(
        self, connection: sqlite3.Connection, limit: int, offset: int = 0
    ) -> list[dict[str, Any]]:
        rows = connection.execute(
            f'SELECT * FROM "{self.name}" ORDER BY id LIMIT ? OFFSET ?', [limit, offset]
        )
        return [dict(row) for row in rows]

    def update(
        self, connection: sqlite3.Connection, row_id: int, values: Mapping[str, Any]
    ) -> bool:
        """Change the given columns; False when there is no such row."""
        if self.one(connection, row_id) is None:
            return False
        changed = {column: values[column] for column in self.columns if column in values}
        if changed:
            marks = ", ".join(f'"{column}" = ?' for column in changed)
            connection.execute(
                f'UPDATE "{self.name}" SET {marks} WHERE id = ?', [*changed.values(), row_id]
            )
        return True

    def delete(self, connection: sqlite3.Connection, row_id: int) -> bool:
        """False when there is no such row."""
        if self.one(connection, row_id) is None:
            return False
        connection.execute(f'DELETE FROM "{self.name}" WHERE id = ?', [row_id])
        return True


def prepare(data_dir: Path, tables: Iterable[Table]) -> None:
    data_dir.mkdir(parents=True, exist_ok=True)
    with closing(connect(data_dir)) as connection, connection:
        for table in tables:
            table.prepare(connection)
