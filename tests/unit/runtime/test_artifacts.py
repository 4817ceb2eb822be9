"""The artifact directory: whole files or none, named by their content."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from pathlib import Path

import pytest

from contracts.artifacts import ArtifactRef
from contracts.errors import ErrorCode, OrchestratorError
from runtime.artifacts import DirectoryArtifactStore


@pytest.fixture
def store(tmp_path: Path) -> DirectoryArtifactStore:
    return DirectoryArtifactStore(tmp_path / "artifacts")


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_content_is_read_back_in_pieces(store: DirectoryArtifactStore) -> None:
    ref = await store.put("transcript.jsonl", b"0123456789", "application/jsonl")
    assert ref.sha256 == hashlib.sha256(b"0123456789").hexdigest()
    assert ref.uri == f"artifact://{ref.sha256}/transcript.jsonl"
    assert (ref.size_bytes, ref.media_type) == (10, "application/jsonl")
    assert await store.read(ref) == b"0123456789"
    assert await store.read(ref, offset=4, limit=3) == b"456"
    assert await store.read(ref, offset=99, limit=3) == b""


async def test_a_file_is_stored_like_its_bytes(store: DirectoryArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "report.txt"
    source.write_bytes(os.urandom(3 * 1024 * 1024 + 1))
    assert await store.put("report.txt", source) == await store.put("report.txt", source.read_bytes())


async def test_putting_the_same_concurrently_keeps_one_file_and_no_drafts(
    store: DirectoryArtifactStore, tmp_path: Path
) -> None:
    refs = await asyncio.gather(*(store.put("log.txt", b"same") for _ in range(10)))
    assert len(set(refs)) == 1
    assert len(files(tmp_path / "artifacts")) == 1


@pytest.mark.parametrize("name", ["", ".", "..", "../escape", "a/b", "/etc/passwd", "nul\0", "x" * 101, "new\nline"])
async def test_a_name_that_is_a_path_is_refused_before_anything_is_written(
    store: DirectoryArtifactStore, tmp_path: Path, name: str
) -> None:
    with pytest.raises(OrchestratorError) as caught:
        await store.put(name, b"content")
    assert caught.value.code == ErrorCode.INVALID_INPUT
    assert files(tmp_path) == []


async def test_a_full_disk_is_a_passing_trouble_and_leaves_nothing(
    store: DirectoryArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OrchestratorError, match="Free some space") as caught:
            await store.put("log.txt", b"content")
    assert caught.value.code == ErrorCode.ARTIFACT_DISK_FULL
    assert caught.value.retryable
    assert files(tmp_path) == []
    assert await store.read(await store.put("log.txt", b"content")) == b"content"


async def test_a_reference_to_nothing_says_so(store: DirectoryArtifactStore) -> None:
    sha256 = "0" * 64
    ref = ArtifactRef(uri=f"artifact://{sha256}/gone.txt", sha256=sha256, size_bytes=1)
    with pytest.raises(OrchestratorError) as caught:
        await store.read(ref)
    assert caught.value.code == ErrorCode.ARTIFACT_NOT_FOUND


@pytest.mark.parametrize(("offset", "limit"), [(-1, 1), (0, -1)])
async def test_negative_positions_are_refused(store: DirectoryArtifactStore, offset: int, limit: int) -> None:
    ref = await store.put("log.txt", b"content")
    with pytest.raises(OrchestratorError) as caught:
        await store.read(ref, offset, limit)
    assert caught.value.code == ErrorCode.INVALID_INPUT
