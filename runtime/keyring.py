"""Key files: 32-byte keys by id, one of them active. Used for payloads and, with another file, for secrets.

A file is created once, never overwritten, and replaced as a whole by a rotation; old keys stay for decoding.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import ErrorCode, OrchestratorError
from runtime import private_files

KEY_BYTES = 32


@dataclass(frozen=True)
class _Ring:
    active: str
    keys: Mapping[str, bytes]


class KeyRing:
    """The keys of one file. A running process learns of a rotation without a restart.

    `active` looks at the file's stamp each time (one stat); an unknown id makes `key` look as well.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._ring = _read(path)

    @classmethod
    def load(cls, path: Path) -> KeyRing:
        """Read a key file.

        Raises OrchestratorError NOT_FOUND when there is none, KEY_FILE_UNSAFE when others may read it or when
        it is damaged.
        """
        return cls(path)

    @property
    def active(self) -> tuple[str, bytes]:
        """Id and key to encrypt with now."""
        self._reload_if_replaced()
        return self._ring.active, self._ring.keys[self._ring.active]

    def key(self, key_id: str) -> bytes:
        """The key for decrypting; OrchestratorError PAYLOAD_KEY_UNKNOWN when the file does not have it."""
        if key_id not in self._ring.keys:
            self._reload_if_replaced()
        try:
            return self._ring.keys[key_id]
        except KeyError:
            raise OrchestratorError(
                ErrorCode.PAYLOAD_KEY_UNKNOWN,
                f"The key {key_id!r} is not in this installation's key file. "
                "Restore the key file that belongs to this data.",
                details={"key_id": key_id, "known": ", ".join(self._ring.keys)},
            ) from None

    def _reload_if_replaced(self) -> None:
        stamp = _stamp(self._path)
        # Without a file (None), what this process already holds still serves its running work.
        if stamp is not None and stamp != self._stamp:
            self._ring = _read(self._path)
            self._stamp = stamp


def create_if_absent(path: Path) -> bool:
    """Make a key file with one new key, mode 0600, in a directory of mode 0700; True when this call made it.

    An existing file is never touched; of two concurrent processes exactly one succeeds.
    """
    key_id = _new_key_id()
    return private_files.create(path, _dump(_Ring(key_id, {key_id: secrets.token_bytes(KEY_BYTES)})))


def rotate(path: Path) -> str:
    """Add a new key, make it the active one and return its id; each call adds one more."""
    with _exclusive(path):
        ring = _read(path)
        key_id = _new_key_id()
        private_files.replace(path, _dump(_Ring(key_id, {**ring.keys, key_id: secrets.token_bytes(KEY_BYTES)})))
    return key_id


def _new_key_id() -> str:
    return f"key-{secrets.token_hex(6)}"


def _dump(ring: _Ring) -> str:
    keys = {name: base64.b64encode(key).decode() for name, key in ring.keys.items()}
    return json.dumps({"active": ring.active, "keys": keys}, indent=1)


def _read(path: Path) -> _Ring:
    text = private_files.read(path)
    try:
        raw = json.loads(text)
        keys = {str(name): base64.b64decode(value, validate=True) for name, value in raw["keys"].items()}
        ring = _Ring(str(raw["active"]), keys)
        if ring.active not in keys or any(len(key) != KEY_BYTES for key in keys.values()):
            raise ValueError("the active key is missing or a key has a wrong length")
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not chained: a parser's message quotes what it could not read.
        raise private_files.unsafe(
            path, "is damaged. Restore it from your backup; without it old data cannot be read"
        ) from None
    return ring


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Changes with every replacement, since the replacing file is another inode."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Two concurrent rotations must both keep their key."""
    private_files.read(path)
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
