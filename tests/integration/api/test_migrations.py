"""The schema: up, down, up, and exactly what the tables say."""

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from api import migrate
from api.bootstrap import bootstrap
from api.tables import METADATA
from contracts.errors import ErrorCode, OrchestratorError
from runtime import private_files
from runtime.settings import Settings
from tests.support.api import new_database


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, METADATA))


async def looked_at(url: str, look) -> object:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = await connection.run_sync(look)
    await engine.dispose()
    return found


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
async def test_a_database_that_cannot_hold_every_character_is_refused_at_the_start(encoding: str) -> None:
    url = await new_database(f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(OrchestratorError, match=f"has the encoding {encoding}; the platform needs UTF8") as refused:
        await migrate.upgrade(url)
    assert refused.value.code == ErrorCode.SETTINGS_INVALID


async def test_every_step_goes_up_and_down_and_up_again() -> None:
    url = await new_database()
    scripts = await looked_at(url, lambda plain: ScriptDirectory.from_config(migrate.configuration(plain)))
    assert isinstance(scripts, ScriptDirectory)
    revisions = [script.revision for script in reversed(list(scripts.walk_revisions()))]
    for number, revision in enumerate(revisions):
        await migrate.upgrade(url, revision)
        await migrate.downgrade(url, revisions[number - 1] if number else "base")
        await migrate.upgrade(url, revision)
    assert await looked_at(url, differences) == []
    await migrate.downgrade(url, "base")
    assert await looked_at(url, lambda plain: inspect(plain).get_table_names()) == ["alembic_version"]


async def test_two_processes_may_migrate_concurrently() -> None:
    url = await new_database()
    await asyncio.gather(*(migrate.upgrade(url) for _ in range(4)))
    assert await looked_at(url, differences) == []


async def test_a_second_bootstrap_changes_nothing_and_keys_are_private(tmp_path: Path) -> None:
    url = await new_database()
    await migrate.upgrade(url)
    settings = Settings(home=tmp_path / "home", admin_user_id=7)
    first = await bootstrap(settings, url)
    keys = {path: path.read_bytes() for path in (tmp_path / "home" / "keys").iterdir() if path.is_file()}
    assert await bootstrap(settings, url) == first
    assert {path: path.read_bytes() for path in keys} == keys
    assert {oct(path.stat().st_mode & 0o777) for path in keys} == {"0o600"}
    assert private_files.read(first.admin_key_file) != private_files.read(first.platform_key_file)


async def test_where_a_server_is_named_nothing_is_deployed_to_this_machine(tmp_path: Path) -> None:
    url = await new_database()
    await migrate.upgrade(url)
    for server, status in ((None, "ready"), ("deploy@elsewhere", "maintenance")):
        await bootstrap(Settings(home=tmp_path / "home", server=server), url)
        found = await looked_at(url, lambda plain: plain.execute(text("SELECT handle, status FROM servers")).all())
        assert [tuple(row) for row in found] == [("local", status)]
