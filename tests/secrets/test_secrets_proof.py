"""Nothing secret in histories, databases, logs, process lists, images or replies: searched for, not assumed."""

import asyncio
import subprocess
from collections.abc import AsyncIterator

import pytest

from activities.adapters.servers.container import BASE_IMAGE
from tests.secrets.canaries import Canary, new_canary
from tests.secrets.containers import look_at_server
from tests.secrets.run import GENERATED, SECRET, Proof, ProofStack, collecting, digest, proven
from tests.secrets.scan import Scan
from tests.support.ports import free_ports
from tests.support.services import engine
from tests.support.services.container_service import no_engine

# In `make test` it is the chat that proves it, for a typed secret: tests/chat/test_secrets.py.
pytestmark = [pytest.mark.timeout(1800), pytest.mark.deep]

READABLE = {
    "PostgreSQL, rows", "home, postgres", "temporal, decrypted", "web ui, decrypted", "api", "command line",
    "arguments of processes", "git objects", "home, forge",
}  # fmt: skip
"""Where a person's words go."""
SEALED = {"temporal, as stored", "Temporal, rows", "home, temporal", "web ui", "metrics"}
LOOKED_AT = {
    *READABLE, *SEALED, "environments of processes", "names of files", "home, artifacts", "home, logs", "home, runs",
    "home, orders", "home, keys", "traces",
}  # fmt: skip
IN_CONTAINERS = {
    f"{engine}, {what}"
    for engine in ("machine", "server")
    for what in ("docker events", "docker inspect", "docker logs", "docker info")
} | {
    "machine, files of containers", "server, docker history", "server, image layers", "server, files",
    "server, arguments of processes", "server, journal",
}  # fmt: skip


@pytest.fixture(scope="module", params=["process", "docker"])
async def proof(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proof]:
    obstacle = no_engine() if request.param == "docker" else None
    if obstacle is not None:
        pytest.skip(obstacle)
    with engine.in_use(), collecting() as (collector, bodies):
        home = tmp_path_factory.mktemp("proof") / "home"
        stack = ProofStack(home, free_ports(6), free_ports(100), runtime=request.param, collector=collector)
        async with proven(stack, bodies) as proof:
            yield proof


async def test_no_secret_is_anywhere_but_where_it_belongs(proof: Proof) -> None:
    assert not proof.leaks, "\n".join(str(leak) for leak in sorted(proof.leaks))


async def test_the_service_holds_the_very_values_that_were_given(proof: Proof) -> None:
    assert proof.seen["set"] == {SECRET: True, "sha256": digest(proof.values["set"])}
    assert proof.seen["answer"] == {SECRET: True, "sha256": digest(proof.values["answer"])}
    held = {"secret set", "secret in the answer", *(f"secret {name}, generated" for name in GENERATED)}
    assert proof.scan.kept_in(r"environments of processes: a deployed service, .*") == held
    assert proof.scan.kept_in(r"(home, services|server, files): .*/env/.*") == held


async def test_the_platform_s_own_keys_are_found_in_their_files(proof: Proof) -> None:
    """So what is searched for are the real ones."""
    names = ["admin", "service", "bot", "payload", "vault", *(["ssh"] if proof.runtime == "docker" else [])]
    assert proof.scan.kept_in(r"home, keys: .*") == {f"platform {name} key" for name in names}
    assert proof.scan.kept_in(r"home, : postgres\.password") == {"platform database password"}


async def test_the_key_for_models_is_found_with_the_model_proxy_and_nowhere_else(proof: Proof) -> None:
    kept = proof.scan.kept_in(r"environments of processes: python[\d.]* -m api\.model_proxy")
    assert kept == {"key for models", "platform database password"}, "it is connected to PostgreSQL"


async def test_a_person_s_words_are_found_where_they_go_and_not_where_they_are_encrypted(proof: Proof) -> None:
    """So the search does look there, and Temporal has ciphertext only."""
    more = {"home, agents"} if proof.runtime == "process" else {"machine, files of containers"}
    assert (READABLE | more) - proof.planted_in == set()
    assert SEALED & proof.planted_in == set()


async def test_every_place_was_searched(proof: Proof) -> None:
    wanted = LOOKED_AT | (IN_CONTAINERS if proof.runtime == "docker" else {"home, services"})
    assert {place for place in wanted if not proof.scan.looked[place]} == set()
    assert all(looks > 5 for looks in proof.seen["looks"].values()), proof.seen["looks"]
    assert proof.seen["payloads"] > 100
    assert proof.seen["web ui payloads"] > 100
    assert proof.seen["repositories"] == 1
    assert {"/tasks/{task_id}/stream", "/projects/{project_id}/secrets", "/metrics"} <= proof.seen["routes"]


async def test_a_service_that_prints_its_environment_is_quoted_without_its_secrets(proof: Proof) -> None:
    assert proof.seen["broken"]["state"] == "failed"
    for text in (proof.seen["broken deploy"]["error"], proof.seen["broken logs"].out):
        assert "told to print its environment" in text
        assert "[secret]" in text


async def test_a_scoped_token_was_used_while_it_was_searched_for(proof: Proof) -> None:
    assert (proof.seen["agent may"], proof.seen["agent may not"]) == (404, 403)


async def test_a_leak_on_the_server_would_be_found(proof: Proof) -> None:
    if proof.runtime != "docker":
        return
    planted = {place: new_canary(place) for place in ("file", "journal", "container")}
    scan = Scan(list(planted.values()), [])
    await asyncio.to_thread(_plant_on_the_server, proof, planted)
    await asyncio.to_thread(look_at_server, scan, proof.server)
    await asyncio.to_thread(proof.engines()[1].look_at_container, scan, "planted")
    found = {(leak.canary, leak.place.partition(":")[0]) for leak in scan.leaks}
    assert found >= {("file", "server, files"), ("journal", "server, journal"), ("container", "server, docker inspect")}


def _plant_on_the_server(proof: Proof, planted: dict[str, Canary]) -> None:
    def inside(*words: str, stdin: bytes = b"") -> None:
        argv = ["docker", "exec", "--interactive", proof.server, *words]
        subprocess.run(argv, input=stdin, check=True, capture_output=True)

    inside("sh", "-c", "cat > /tmp/some", stdin=planted["file"].value)
    inside("logger", stdin=planted["journal"].value)
    inside("docker", "create", "--name", "planted", "--env", f"SOME={planted['container'].text}", BASE_IMAGE, "true")
