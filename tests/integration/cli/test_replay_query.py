"""`replay --query` asks a real Temporal server, which does not understand everything."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime import keyring, private_files
from tests.support.commands import Said, run_command
from tests.support.workflows.temporal_server import running_temporal_server


@pytest.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running_temporal_server(tmp_path_factory.mktemp("replay")) as running:
        yield running


async def replayed(address: str, home: Path, query: str) -> Said:
    private_files.make_directory(home / "keys")
    keyring.create_if_absent(home / "keys" / "payload.json")
    env = {
        "PATH": os.environ["PATH"], "ORCHESTRATOR_HOME": str(home), "TEMPORAL_CONFIG_FILE": str(home / "absent.toml"),
        "ORCHESTRATOR_TEMPORAL_PORT": address.rpartition(":")[2],
    }  # fmt: skip
    return await run_command("replay", "--query", query, env=env)


@pytest.mark.parametrize(
    "query",
    [
        "bad (",
        pytest.param("NoSuchAttribute = 'x'", marks=pytest.mark.deep),
        pytest.param("ExecutionStatus = 'Sleeping'", marks=pytest.mark.deep),
    ],
)
async def test_a_query_that_is_none_is_refused_in_one_line(address: str, tmp_path: Path, query: str) -> None:
    said = await replayed(address, tmp_path / "home", query)
    assert (said.code, said.err.count("\n")) == (2, 1), said
    assert said.err.startswith("error INVALID_INPUT: Temporal does not understand the query")


async def test_a_query_that_finds_nothing_is_no_failure(address: str, tmp_path: Path) -> None:
    said = await replayed(address, tmp_path / "home", "WorkflowId = 'none'")
    assert (said.code, said.out.strip()) == (0, "0 replayed, 0 failed"), said
