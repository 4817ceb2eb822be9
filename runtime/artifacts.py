"""Where large things live: a directory of files named by their SHA-256."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from contracts.artifacts import ArtifactRef
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from runtime import private_files

_CHUNK_BYTES = 1024 * 1024
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class DirectoryArtifactStore:
    """Content under `<root>/<2 hex>/<sha256>`; the name lives in the reference only.

    Putting the same content again gives the same file. The disk is touched in a thread.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, name: str, content: bytes | Path, media_type: str = "text/plain") -> ArtifactRef:
        """Store bytes, or a copy of a file, and return the reference once it is safely on the disk.

        Raises OrchestratorError ARTIFACT_DISK_FULL (transient), or INVALID_INPUT for a name that is not made
        of 1 to 100 letters, digits, dots, dashes and underscores.
        """
        # The reference's own rules check the name before anything is written.
        _reference(name, "0" * 64, 0, media_type)
        sha256, size = await asyncio.to_thread(self._store, content)
        return _reference(name, sha256, size, media_type)

    async def read(self, ref: ArtifactRef, offset: int = 0, limit: int | None = None) -> bytes:
        """At most `limit` bytes from `offset`; empty at the end."""
        if offset < 0 or (limit is not None and limit < 0):
            raise OrchestratorError(ErrorCode.INVALID_INPUT, "Offset and limit must not be negative.")
        return await asyncio.to_thread(self._read, ref, offset, limit)

    def open(self, ref: ArtifactRef) -> BinaryIO:
        """The content as an open file; OrchestratorError ARTIFACT_NOT_FOUND when it is not in this store."""
        try:
            return self._path(ref.sha256).open("rb")
        except FileNotFoundError:
            raise OrchestratorError(
                ErrorCode.ARTIFACT_NOT_FOUND,
                "The artifact is not in the store any more.",
                details={"uri": ref.uri},
            ) from None

    def older(self, before: float) -> list[str]:
        """Hashes of what was stored before this time (in seconds) and not again since. Blocks."""
        return sorted(path.name for path in self._root.glob("[0-9a-f][0-9a-f]/*") if path.stat().st_mtime < before)

    def remove(self, sha256: str, before: float) -> bool:
        """Remove content unless it has been stored again since `before`; whether it is gone now. Blocks."""
        path = self._path(sha256)
        try:
            if path.stat().st_mtime >= before:
                return False
            path.unlink()
        except FileNotFoundError:
            pass
        return True

    def _read(self, ref: ArtifactRef, offset: int, limit: int | None) -> bytes:
        with self.open(ref) as file:
            file.seek(offset)
            return file.read() if limit is None else file.read(limit)

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256

    def _store(self, content: bytes | Path) -> tuple[str, int]:
        draft = self._root / "drafts" / secrets.token_hex(12)
        with _disk_errors():
            try:
                # Transcripts and logs are for the platform alone: agents with a user of their own must not read them.
                private_files.make_directory(self._root)
                private_files.make_directory(draft.parent)
                sha256, size = _write_synced(draft, content)
                final = self._path(sha256)
                final.parent.mkdir(exist_ok=True)
                # Replacing equal content is harmless, and heals a file that a broken disk had cut off.
                os.replace(draft, final)
                private_files.sync_directory(final.parent)
            finally:
                draft.unlink(missing_ok=True)
        return sha256, size


def _reference(name: str, sha256: str, size: int, media_type: str) -> ArtifactRef:
    try:
        if set(name) <= {"."}:
            raise ValueError("a name of dots is a directory")
        return ArtifactRef(uri=f"artifact://{sha256}/{name}", sha256=sha256, size_bytes=size, media_type=media_type)
    except (ValidationError, ValueError) as error:
        raise OrchestratorError(
            ErrorCode.INVALID_INPUT,
            "An artifact's name is 1 to 100 letters, digits, dots, dashes and underscores.",
            details={"name": name[:200]},
        ) from error


def _write_synced(draft: Path, content: bytes | Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in _chunks(content):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _chunks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise OrchestratorError(
            ErrorCode.ARTIFACT_DISK_FULL,
            "The disk of the artifact store is full. Free some space; the work then continues by itself.",
            error_class=ErrorClass.TRANSIENT,
        ) from error
