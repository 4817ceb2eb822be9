"""The payload codec: what goes in comes out, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload

from contracts.errors import ErrorCode, OrchestratorError
from runtime import keyring
from runtime.keyring import KeyRing
from runtime.temporal.codec import EncryptionCodec
from runtime.temporal.converter import MAX_PAYLOAD_BYTES, BoundedPayloadConverter, build_data_converter


@pytest.fixture(scope="module")
def lasting_codec(tmp_path_factory: pytest.TempPathFactory) -> EncryptionCodec:
    """One for all examples of a property."""
    path = tmp_path_factory.mktemp("keys") / "payload.json"
    keyring.create_if_absent(path)
    return EncryptionCodec(KeyRing.load(path))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "payload.json"
    keyring.create_if_absent(path)
    return path


@pytest.fixture
def codec(key_file: Path) -> EncryptionCodec:
    return EncryptionCodec(KeyRing.load(key_file))


@given(data=st.binary(max_size=2000))
async def test_every_payload_comes_back_whole_and_is_not_readable_meanwhile(
    lasting_codec: EncryptionCodec, data: bytes
) -> None:
    plain = Payload(metadata={"encoding": b"json/plain", "messageType": b"Hidden"}, data=data)
    (sealed,) = await lasting_codec.encode([plain])
    assert await lasting_codec.decode([sealed]) == [plain]
    assert b"Hidden" not in sealed.SerializeToString()
    assert sealed.metadata["encoding"] == b"binary/encrypted"


async def test_equal_values_give_different_ciphertexts(codec: EncryptionCodec) -> None:
    first, second = await codec.encode([Payload(data=b"same"), Payload(data=b"same")])
    assert first.data != second.data


async def test_a_foreign_payload_passes_unchanged(codec: EncryptionCodec) -> None:
    foreign = Payload(metadata={"encoding": b"json/plain"}, data=b"{}")
    assert await codec.decode([foreign]) == [foreign]


@pytest.mark.parametrize("position", [0, 11, 12, -1])
async def test_a_changed_byte_is_found(codec: EncryptionCodec, position: int) -> None:
    (sealed,) = await codec.encode([Payload(data=b"value")])
    changed = bytearray(sealed.data)
    changed[position] ^= 1
    sealed.data = bytes(changed)
    await _is_refused(codec, sealed, ErrorCode.PAYLOAD_TAMPERED)


async def test_a_cut_payload_is_found(codec: EncryptionCodec) -> None:
    (sealed,) = await codec.encode([Payload(data=b"value")])
    for length in (0, 5, 27, len(sealed.data) - 1):
        await _is_refused(
            codec, Payload(metadata=dict(sealed.metadata), data=sealed.data[:length]), ErrorCode.PAYLOAD_TAMPERED
        )


async def test_a_payload_under_another_known_keys_id_is_found(codec: EncryptionCodec, key_file: Path) -> None:
    (sealed,) = await codec.encode([Payload(data=b"value")])
    sealed.metadata["encryption-key-id"] = keyring.rotate(key_file).encode()
    await _is_refused(codec, sealed, ErrorCode.PAYLOAD_TAMPERED)


async def test_an_unknown_key_is_named(codec: EncryptionCodec) -> None:
    (sealed,) = await codec.encode([Payload(data=b"value")])
    sealed.metadata["encryption-key-id"] = b"key-lost"
    await _is_refused(codec, sealed, ErrorCode.PAYLOAD_KEY_UNKNOWN)


async def _is_refused(codec: EncryptionCodec, payload: Payload, code: ErrorCode) -> None:
    with pytest.raises(OrchestratorError) as caught:
        await codec.decode([payload])
    assert caught.value.code == code


class Wish(BaseModel):
    title: str
    count: int = 1


async def test_the_data_converter_carries_models(key_file: Path) -> None:
    converter = build_data_converter(KeyRing.load(key_file))
    payloads = await converter.encode([Wish(title="Блог")])
    assert await converter.decode(payloads, [Wish]) == [Wish(title="Блог")]


def test_the_size_limit_is_exact() -> None:
    converter = BoundedPayloadConverter()
    quotes = 2
    assert converter.to_payloads(["x" * (MAX_PAYLOAD_BYTES - quotes)])
    with pytest.raises(OrchestratorError, match="262,145 bytes") as caught:
        converter.to_payloads(["x" * (MAX_PAYLOAD_BYTES - quotes + 1)])
    assert caught.value.code == ErrorCode.PAYLOAD_TOO_LARGE
