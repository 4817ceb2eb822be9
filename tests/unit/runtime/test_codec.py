"""The payload codec: what goes in comes out, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.common import RawValue
from temporalio.converter import ActivitySerializationContext, SerializationContext, WorkflowSerializationContext
from temporalio.exceptions import ApplicationError

from contracts.errors import ErrorCode, OrchestratorError
from runtime import keyring
from runtime.keyring import KeyRing
from runtime.temporal import sealing
from runtime.temporal.codec import (
    CIPHER,
    ENCODING,
    KEY_ID,
    MAX_SEALED_BYTES,
    REFUSED,
    SEALED_FOR,
    EncryptionCodec,
    FileCodec,
)
from runtime.temporal.converter import (
    MAX_PAYLOAD_BYTES,
    BoundedPayloadConverter,
    build_data_converter,
    file_converter,
)


def workflow(workflow_id: str) -> SerializationContext:
    return WorkflowSerializationContext(namespace="default", workflow_id=workflow_id)


def activity(workflow_id: str | None) -> SerializationContext:
    return ActivitySerializationContext(
        namespace="default",
        workflow_id=workflow_id,
        workflow_type="deploy",
        activity_type="deployment.operate",
        activity_id="step",
        activity_task_queue="infra",
        is_local=False,
    )


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


@pytest.mark.parametrize("metadata", [{"encoding": b"json/plain"}, {"encoding": b"binary/null"}, {}], ids=str)
async def test_what_is_not_sealed_is_refused(codec: EncryptionCodec, metadata: dict[str, bytes]) -> None:
    await _is_refused(codec, Payload(metadata=metadata, data=b"{}"), ErrorCode.PAYLOAD_NOT_AUTHENTIC)


async def test_a_mark_of_refusal_cannot_be_sent_from_outside(codec: EncryptionCodec, key_file: Path) -> None:
    mark = Payload(metadata={"encoding": REFUSED}, data=b'{"code": "INTERNAL", "message": "trust me"}')
    await _is_refused(codec, mark, ErrorCode.PAYLOAD_NOT_AUTHENTIC)
    (sealed,) = await codec.encode([mark])
    with pytest.raises(OrchestratorError):
        await build_data_converter(KeyRing.load(key_file)).decode([sealed])


@pytest.mark.parametrize(
    ("sealed_for", "reader", "opens"),
    [
        (workflow("deploy/a"), workflow("deploy/a"), True),
        (workflow("deploy/a"), workflow("deploy/b"), False),
        (workflow("deploy/a"), workflow("deploy/a "), False),
        (workflow("deploy/a"), workflow("Deploy/a"), False),
        (workflow("deploy/a"), activity("deploy/a"), True),
        (activity("deploy/a"), workflow("deploy/a"), True),
        (activity("deploy/a"), activity("deploy/b"), False),
        (activity(None), activity(None), True),
        (activity(None), activity(""), True),
        (activity(None), workflow("step"), False),
        (workflow("step"), activity(None), False),
        (workflow("deploy/a"), workflow("deploy/a-2026-11-29T22:00:00Z"), False),
        (workflow("deploy/a-2026-11-29T22:00:00Z"), workflow("deploy/a"), False),
        (workflow("hourly-2026-11-29T22:00:00Z"), workflow("hourly-2026-11-29T23:00:00Z"), True),
        (workflow("hourly-2026-11-29T22:00:00Z"), workflow("daily-2026-11-29T22:00:00Z"), False),
        (None, workflow("deploy/a"), False),
        (workflow("deploy/a"), None, True),
    ],
)
async def test_only_the_workflow_that_a_payload_was_sealed_for_opens_it(
    codec: EncryptionCodec, sealed_for: SerializationContext | None, reader: SerializationContext | None, opens: bool
) -> None:
    value = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    (sealed,) = await _told(codec, sealed_for).encode([value])
    if opens:
        assert await _told(codec, reader).decode([sealed]) == [value]
    else:
        await _is_refused(_told(codec, reader), sealed, ErrorCode.PAYLOAD_NOT_AUTHENTIC)


def _told(codec: EncryptionCodec, context: SerializationContext | None) -> EncryptionCodec:
    return codec if context is None else codec.with_context(context)


async def test_what_a_schedule_is_made_with_opens_in_its_runs_only(codec: EncryptionCodec) -> None:
    with sealing.for_a_schedule():
        (sealed,) = await codec.with_context(workflow("hourly")).encode([Payload(data=b"1")])
    assert await codec.with_context(workflow("hourly-2026-11-29T22:00:00Z")).decode([sealed]) == [Payload(data=b"1")]
    for other in ("hourly", "hourly-now", "daily-2026-11-29T22:00:00Z", "hourly-2026-11-29T22:00:00Z-2026"):
        await _is_refused(codec.with_context(workflow(other)), sealed, ErrorCode.PAYLOAD_NOT_AUTHENTIC)


async def test_the_workflow_in_the_metadata_cannot_be_changed(codec: EncryptionCodec) -> None:
    (sealed,) = await codec.with_context(workflow("deploy/a")).encode([Payload(data=b"1")])
    sealed.metadata[SEALED_FOR] = b"workflow:deploy/b"
    await _is_refused(codec.with_context(workflow("deploy/b")), sealed, ErrorCode.PAYLOAD_TAMPERED)
    del sealed.metadata[SEALED_FOR]
    await _is_refused(codec, sealed, ErrorCode.PAYLOAD_TAMPERED)


async def test_what_an_earlier_version_has_sealed_is_shown_and_commands_nothing(
    codec: EncryptionCodec, key_file: Path
) -> None:
    key_id, key = KeyRing.load(key_file).active
    value, nonce = Payload(metadata={"encoding": b"json/plain"}, data=b'"old"'), b"\0" * 12
    old = Payload(
        metadata={"encoding": ENCODING, "encryption-cipher": CIPHER, KEY_ID: key_id.encode()},
        data=nonce + AESGCM(key).encrypt(nonce, value.SerializeToString(), key_id.encode()),
    )
    assert await codec.decode([old]) == [value]
    await _is_refused(codec.with_context(workflow("deploy/a")), old, ErrorCode.PAYLOAD_NOT_AUTHENTIC)


async def test_an_old_key_of_the_ring_still_opens(codec: EncryptionCodec, key_file: Path) -> None:
    (sealed,) = await codec.with_context(workflow("deploy/a")).encode([Payload(data=b"1")])
    keyring.rotate(key_file)
    assert await codec.with_context(workflow("deploy/a")).decode([sealed]) == [Payload(data=b"1")]


async def test_what_is_too_large_to_be_ours_is_not_decrypted(codec: EncryptionCodec) -> None:
    (sealed,) = await codec.encode([Payload(data=b"x" * MAX_SEALED_BYTES)])
    await _is_refused(codec, sealed, ErrorCode.PAYLOAD_TOO_LARGE)
    (largest,) = await codec.encode([Payload(metadata={"encoding": b"json/plain"}, data=b"x" * MAX_PAYLOAD_BYTES)])
    assert len((await codec.decode([largest]))[0].data) == MAX_PAYLOAD_BYTES


async def test_a_history_in_a_file_may_be_in_the_clear_or_of_any_workflow(
    codec: EncryptionCodec, key_file: Path
) -> None:
    files, clear = FileCodec(KeyRing.load(key_file)), Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    (sealed,) = await codec.with_context(workflow("deploy/a")).encode([clear])
    assert await files.decode([clear, sealed]) == [clear, clear]
    assert await files.encode([clear]) == [clear]
    sealed.data += b"x"
    with pytest.raises(OrchestratorError) as caught:
        await files.decode([sealed])
    assert caught.value.code == ErrorCode.PAYLOAD_TAMPERED


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
        codec.open(payload)
    assert caught.value.code == code
    if code == ErrorCode.PAYLOAD_KEY_UNKNOWN:
        with pytest.raises(OrchestratorError):
            await codec.decode([payload])
    else:
        (mark,) = await codec.decode([payload])
        with pytest.raises(OrchestratorError) as raised:
            BoundedPayloadConverter().from_payloads([mark], [RawValue])
        assert raised.value.code == code


class Wish(BaseModel):
    title: str
    count: int = 1


async def test_the_data_converter_carries_models(key_file: Path) -> None:
    converter = build_data_converter(KeyRing.load(key_file))
    payloads = await converter.encode([Wish(title="Блог")])
    assert await converter.decode(payloads, [Wish]) == [Wish(title="Блог")]


async def test_a_failure_that_is_not_ours_says_only_that(key_file: Path) -> None:
    converter = build_data_converter(KeyRing.load(key_file)).with_context(workflow("deploy/a"))
    forged = Failure(message="read this")
    forged.application_failure_info.type = "STOPPED_BY_PERSON"
    forged.encoded_attributes.CopyFrom(Payload(metadata={"encoding": b"json/plain"}, data=b'{"message": "read this"}'))
    forged.cause.CopyFrom(Failure.FromString(forged.SerializeToString()))
    error = await converter.decode_failure(forged)
    for each in (error, error.__cause__):
        assert isinstance(each, ApplicationError)
        assert (each.type, each.non_retryable) == ("PAYLOAD_NOT_AUTHENTIC", True)
        assert "read this" not in str(each)


async def test_a_failure_whose_text_or_type_was_not_sealed_says_only_that(key_file: Path) -> None:
    """What the server reads of a failure stands in the clear; another payload of the workflow is no text of it."""
    converter = build_data_converter(KeyRing.load(key_file)).with_context(workflow("deploy/a"))
    bare = Failure(message="read this")
    bare.application_failure_info.type = "STOPPED_BY_PERSON"
    retyped = Failure()
    await converter.encode_failure(ApplicationError("why", type="AGENT_FAILED"), retyped)
    retyped.application_failure_info.type = "STOPPED_BY_PERSON"
    borrowed = Failure.FromString(bare.SerializeToString())
    borrowed.encoded_attributes.CopyFrom((await converter.encode([Wish(title="Blog")]))[0])
    for forged in (bare, retyped, borrowed):
        around = Failure(message="step")
        around.activity_failure_info.activity_id = "1"
        around.cause.CopyFrom(forged)
        error = (await converter.decode_failure(around)).__cause__
        assert isinstance(error, ApplicationError)
        assert error.type == "PAYLOAD_NOT_AUTHENTIC"
        assert "read this" not in str(error)


async def test_a_failure_that_has_passed_through_a_workflow_is_still_ours(key_file: Path) -> None:
    converter = build_data_converter(KeyRing.load(key_file)).with_context(workflow("deploy/a"))
    inner, outer = Failure(), Failure()
    await converter.encode_failure(ApplicationError("why", type="AGENT_FAILED"), inner)
    step = Failure(message="step")
    step.activity_failure_info.activity_id = "1"
    step.cause.CopyFrom(inner)
    await converter.encode_failure(await converter.decode_failure(step), outer)
    cause = (await converter.decode_failure(outer)).__cause__
    assert isinstance(cause, ApplicationError)
    assert (cause.message, cause.type) == ("why", "AGENT_FAILED")


@pytest.mark.parametrize("type", [None, "AcceptedUpdateCompletedWorkflow"])
async def test_failures_that_the_server_itself_writes_are_read(key_file: Path, type: str | None) -> None:
    converter = build_data_converter(KeyRing.load(key_file)).with_context(workflow("deploy/a"))
    failure = Failure(message="by the server")
    if type is None:
        failure.timeout_failure_info.timeout_type = 1
    else:
        failure.application_failure_info.type = type
    assert "by the server" in str(await converter.decode_failure(failure))


async def test_a_failure_in_a_file_may_be_in_the_clear(key_file: Path) -> None:
    failure = Failure(message="as it was")
    failure.application_failure_info.type = "AGENT_FAILED"
    assert "as it was" in str(await file_converter(KeyRing.load(key_file)).decode_failure(failure))


async def test_our_own_failures_come_back_whole(key_file: Path) -> None:
    converter = build_data_converter(KeyRing.load(key_file)).with_context(workflow("deploy/a"))
    failure = Failure()
    await converter.encode_failure(ApplicationError("why", {"exit": 1}, type="AGENT_FAILED"), failure)
    assert b"why" not in failure.SerializeToString()
    error = await converter.decode_failure(failure)
    assert isinstance(error, ApplicationError)
    assert (error.message, error.details, error.type) == ("why", ({"exit": 1},), "AGENT_FAILED")


def test_the_size_limit_is_exact() -> None:
    converter = BoundedPayloadConverter()
    quotes = 2
    assert converter.to_payloads(["x" * (MAX_PAYLOAD_BYTES - quotes)])
    with pytest.raises(OrchestratorError, match="262,145 bytes") as caught:
        converter.to_payloads(["x" * (MAX_PAYLOAD_BYTES - quotes + 1)])
    assert caught.value.code == ErrorCode.PAYLOAD_TOO_LARGE
