from pathlib import Path

from alembic import command
from sqlalchemy import Engine, inspect

from services.backend import database, migrate


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def test_the_models_have_no_change_without_a_migration(engine: Engine) -> None:
    with engine.begin() as connection:
        command.check(migrate.config(connection))


def test_the_migrations_go_up_down_and_up_again(engine: Engine) -> None:
    newest = tables(engine)
    with engine.begin() as connection:
        command.downgrade(migrate.config(connection), "base")
    assert tables(engine) == set()
    migrate.upgrade(engine)
    migrate.upgrade(engine)
    assert tables(engine) == newest


def test_the_schema_of_a_newer_release_stays(tmp_path: Path) -> None:
    engine = database.engine(tmp_path)
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('newer')")
    before = tables(engine)
    migrate.upgrade(engine)
    assert tables(engine) == before
    engine.dispose()
