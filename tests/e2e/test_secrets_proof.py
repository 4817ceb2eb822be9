"""Nothing secret in histories, databases, logs, process lists, images or replies: searched for, not assumed."""

from collections.abc import AsyncIterator

import pytest

from tests.support.container_service import no_engine
from tests.support.leak_run import Proof, ProofStack, collecting, proven
from tests.support.stack import free_ports

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module", params=["process", "docker"])
async def proof(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proof]:
    obstacle = no_engine() if request.param == "docker" else None
    if obstacle is not None:
        pytest.skip(obstacle)
    with collecting() as (collector, bodies):
        home = tmp_path_factory.mktemp("proof") / "home"
        stack = ProofStack(home, free_ports(5), free_ports(100), runtime=request.param, collector=collector)
        async with proven(stack, bodies) as proof:
            yield proof


async def test_no_secret_is_anywhere_but_where_it_belongs(proof: Proof) -> None:
    assert not proof.scan.leaks, proof.scan.report()
