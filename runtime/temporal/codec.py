"""Payload encryption: what reaches the Temporal server is AES-256-GCM ciphertext."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from runtime.keyring import KeyRing

ENCODING = b"binary/encrypted"
CIPHER = b"AES-256-GCM"
_NONCE_BYTES = 12
_TAG_BYTES = 16


class EncryptionCodec(PayloadCodec):
    """Encrypts each payload, its metadata included, with the ring's active key.

    The key id travels in the metadata and is authenticated; what is not ours passes decode unchanged.
    Decoding raises OrchestratorError PAYLOAD_KEY_UNKNOWN or PAYLOAD_TAMPERED: a workflow task then fails and
    is tried again, so that putting the right key file back is enough to go on.
    """

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """One encrypted payload for each given one."""
        key_id, key = self._keyring.active
        cipher, associated = AESGCM(key), key_id.encode()
        return [_encrypt(cipher, associated, payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The original payloads."""
        return [self._decrypt(payload) for payload in payloads]

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        associated = payload.metadata.get("encryption-key-id", b"")
        key_id = associated.decode(errors="replace")
        cipher = AESGCM(self._keyring.key(key_id))
        if payload.metadata.get("encryption-cipher") != CIPHER or len(payload.data) < _NONCE_BYTES + _TAG_BYTES:
            raise _tampered(key_id)
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, associated))
        except InvalidTag:
            raise _tampered(key_id) from None


def _encrypt(cipher: AESGCM, associated: bytes, payload: Payload) -> Payload:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return Payload(
        metadata={
            "encoding": ENCODING,
            "encryption-cipher": CIPHER,
            "encryption-key-id": associated,
        },
        data=nonce + cipher.encrypt(nonce, payload.SerializeToString(), associated),
    )


def _tampered(key_id: str) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.PAYLOAD_TAMPERED,
        "A stored payload cannot be decrypted: it was changed, truncated or encrypted with another key. "
        "Restore the key file that belongs to this data.",
        error_class=ErrorClass.PERMANENT,
        details={"key_id": key_id},
    )
