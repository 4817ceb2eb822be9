"""Payload encryption: what reaches the Temporal server is AES-256-GCM ciphertext, sealed for one workflow.

Whoever reaches the server can write payloads there. Only who has the key ring can write such as are opened here, and a
copy of one is opened only by the workflow that it was sealed for.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec, SerializationContext, WithSerializationContext

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from runtime.keyring import KeyRing
from runtime.temporal.sealing import NOBODY, seal_of

ENCODING = b"binary/encrypted"
REFUSED = b"binary/refused"
"""Stands for a payload that was not opened, with the reason. Only our payload converter gets it, and raises it."""

CIPHER = b"AES-256-GCM"
KEY_ID = "encryption-key-id"
SEALED_FOR = "sealed-for"
MAX_CLEAR_BYTES = 256 * 1024
_OVERHEAD_BYTES = 4096
"""What a value's own metadata, the nonce and the tag may add."""

MAX_SEALED_BYTES = MAX_CLEAR_BYTES + _OVERHEAD_BYTES
_NONCE_BYTES = 12
_TAG_BYTES = 16
_FORMAT = b"orchestrator-payload-2"


class EncryptionCodec(PayloadCodec, WithSerializationContext):
    """Encrypts each payload, its metadata included, with the ring's active key; opens those of its workflow only.

    The key's id and whom the payload is sealed for are in its metadata, and authenticated. Without a context, payloads
    of every workflow are opened: that is for those who only show them.

    A payload that is not authentic is not an error here: it is replaced by a mark, which the payload converter raises
    where the value is used. So a forged signal is dropped and a forged update rejected, while an error here would fail
    each further workflow task of a workflow that somebody has sent one to. An unknown key is an error: the task is
    tried again, so that putting the key file back is enough to go on.
    """

    def __init__(self, keyring: KeyRing, reader: str | None = None) -> None:
        self._keyring = keyring
        self._reader = reader

    def with_context(self, context: SerializationContext) -> Self:
        """A codec that seals for the workflow of the context, and opens what was sealed for it."""
        return type(self)(self._keyring, seal_of(context))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """One encrypted payload for each given one."""
        key_id, key = self._keyring.active
        cipher, sealed_for = AESGCM(key), (self._reader or NOBODY).encode()
        return [_encrypt(cipher, key_id.encode(), sealed_for, payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The original payloads, or marks of their refusal. Raises OrchestratorError PAYLOAD_KEY_UNKNOWN."""
        return [self._opened_or_marked(payload) for payload in payloads]

    def open(self, payload: Payload) -> Payload:
        """The original payload.

        Raises OrchestratorError PAYLOAD_NOT_AUTHENTIC for one that is not sealed, or sealed for others;
        PAYLOAD_TAMPERED, PAYLOAD_TOO_LARGE or PAYLOAD_KEY_UNKNOWN.
        """
        if payload.metadata.get("encoding") != ENCODING:
            raise not_authentic("it is not encrypted")
        if len(payload.data) > MAX_SEALED_BYTES:
            raise _refused(
                ErrorCode.PAYLOAD_TOO_LARGE, f"A stored payload of {len(payload.data):,} bytes is too large to be ours."
            )
        key_id = payload.metadata.get(KEY_ID, b"")
        sealed_for = payload.metadata.get(SEALED_FOR)
        if self._reader is not None and sealed_for != self._reader.encode():
            raise not_authentic(_whose(sealed_for))
        return _decrypt(self._key(key_id), key_id, sealed_for, payload)

    def _opened_or_marked(self, payload: Payload) -> Payload:
        try:
            return self.open(payload)
        except OrchestratorError as error:
            if error.code is ErrorCode.PAYLOAD_KEY_UNKNOWN:
                raise
            return mark(error)

    def _key(self, key_id: bytes) -> bytes:
        return self._keyring.key(key_id.decode(errors="replace"))


class FileCodec(PayloadCodec):
    """For histories from files, which nothing but a replay reads: opens payloads of every workflow, passes clear ones.

    Never for what comes from a server.
    """

    def __init__(self, keyring: KeyRing) -> None:
        self._sealed = EncryptionCodec(keyring)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """A replay sends nothing."""
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The original payloads. Raises OrchestratorError for one that cannot be decrypted."""
        return [
            self._sealed.open(payload) if payload.metadata.get("encoding") == ENCODING else payload
            for payload in payloads
        ]


def refusal_in(payload: Payload) -> OrchestratorError | None:
    """Why a payload was not opened; None for one that was."""
    if payload.metadata.get("encoding") != REFUSED:
        return None
    try:
        reason = json.loads(payload.data)
        return _refused(ErrorCode(reason["code"]), str(reason["message"]))
    except (ValueError, KeyError, TypeError):
        # Whoever could seal this could seal anything; it is refused all the same.
        return not_authentic("its encoding is not one of ours")


def _encrypt(cipher: AESGCM, key_id: bytes, sealed_for: bytes, payload: Payload) -> Payload:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    associated = _associated(key_id, sealed_for)
    return Payload(
        metadata={"encoding": ENCODING, "encryption-cipher": CIPHER, KEY_ID: key_id, SEALED_FOR: sealed_for},
        data=nonce + cipher.encrypt(nonce, payload.SerializeToString(), associated),
    )


def _decrypt(key: bytes, key_id: bytes, sealed_for: bytes | None, payload: Payload) -> Payload:
    if payload.metadata.get("encryption-cipher") != CIPHER or len(payload.data) < _NONCE_BYTES + _TAG_BYTES:
        raise _tampered(key_id)
    nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
    try:
        return Payload.FromString(AESGCM(key).decrypt(nonce, sealed, _associated(key_id, sealed_for)))
    except InvalidTag:
        raise _tampered(key_id) from None


def _associated(key_id: bytes, sealed_for: bytes | None) -> bytes:
    # Earlier versions sealed for nobody in particular: such payloads are shown, but commands no more.
    return key_id if sealed_for is None else b"\0".join((_FORMAT, key_id, sealed_for))


def mark(error: OrchestratorError) -> Payload:
    """Stands for what was refused; our payload converter raises the error where the value is used."""
    reason = json.dumps({"code": error.code.value, "message": error.message})
    return Payload(metadata={"encoding": REFUSED}, data=reason.encode())


def _whose(sealed_for: bytes | None) -> str:
    if sealed_for is None:
        return "an earlier version has sealed it for no workflow in particular"
    return f"it was sealed for {sealed_for.decode(errors='replace')[:200]!a}"


def not_authentic(why: str) -> OrchestratorError:
    """The refusal of what did not come from this platform."""
    return _refused(
        ErrorCode.PAYLOAD_NOT_AUTHENTIC,
        f"A payload was refused, because it is not from this platform: {why}. Another program can reach the Temporal "
        "server: see docs/security.md. Work that an earlier version has begun has to be started again.",
    )


def _tampered(key_id: bytes) -> OrchestratorError:
    return _refused(
        ErrorCode.PAYLOAD_TAMPERED,
        "A stored payload cannot be decrypted: it was changed, truncated or encrypted with another key. "
        "Restore the key file that belongs to this data.",
        key_id=key_id.decode(errors="replace"),
    )


def _refused(code: ErrorCode, message: str, **details: str) -> OrchestratorError:
    return OrchestratorError(code, message, error_class=ErrorClass.PERMANENT, details=details)
