"""The client finds its server the way Temporal's users expect."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.errors import ErrorCode, OrchestratorError
from runtime import keyring
from runtime.keyring import KeyRing
from runtime.settings import Settings
from runtime.temporal import client as temporal_client
from tests.support.ports import any_free
from tests.support.workflows.temporal_server import running_temporal_server


@pytest.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running_temporal_server(tmp_path_factory.mktemp("client")) as running:
        yield running


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_PROFILE", "TEMPORAL_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "absent.toml"))
    keyring.create_if_absent(tmp_path / "payload.json")
    return KeyRing.load(tmp_path / "payload.json")


async def test_without_any_configuration_it_is_the_embedded_server(address: str, ring: KeyRing) -> None:
    settings = Settings(temporal_port=int(address.rpartition(":")[2]))
    client = await temporal_client.connect(settings, keyring=ring, identity="doctor")
    assert await client.service_client.check_health()
    assert (client.namespace, client.identity) == ("default", "doctor")


async def test_the_environment_and_profiles_win(
    address: str, ring: KeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "elsewhere")
    settings = Settings(temporal_port=any_free())
    assert (await temporal_client.connect(settings, keyring=ring)).namespace == "elsewhere"

    monkeypatch.delenv("TEMPORAL_ADDRESS")
    monkeypatch.delenv("TEMPORAL_NAMESPACE")
    profiles = tmp_path / "temporal.toml"
    profiles.write_text(f'[profile.team]\naddress = "{address}"\nnamespace = "team"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profiles))
    monkeypatch.setenv("TEMPORAL_PROFILE", "team")
    assert (await temporal_client.connect(settings, keyring=ring)).namespace == "team"


async def test_an_api_key_turns_tls_on(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "somewhere:7233")
    monkeypatch.setenv("TEMPORAL_API_KEY", "key")
    config = temporal_client.connect_config(Settings())
    assert config["api_key"] == "key"
    assert config["tls"]


async def test_an_unknown_profile_is_explained(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PROFILE", "no-such-profile")
    with pytest.raises(OrchestratorError, match="TEMPORAL_PROFILE") as caught:
        temporal_client.connect_config(Settings())
    assert caught.value.code == ErrorCode.SETTINGS_INVALID


async def test_without_a_server_the_error_says_where_and_what_to_do(ring: KeyRing) -> None:
    port = any_free()
    with pytest.raises(
        OrchestratorError, match=rf"127\.0\.0\.1:{port} \(connection refused\).*orchestrator up"
    ) as caught:
        await temporal_client.connect(Settings(temporal_port=port), keyring=ring)
    assert caught.value.code == ErrorCode.TEMPORAL_UNREACHABLE
    assert caught.value.retryable


async def test_a_server_that_never_answers_does_not_hold_the_caller(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporal_client, "CONNECT_TIMEOUT_S", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(OrchestratorError, match="no answer within"):
            await temporal_client.connect(Settings(temporal_port=silent.getsockname()[1]), keyring=ring)
