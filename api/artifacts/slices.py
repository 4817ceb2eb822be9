"""Slices of a text by bytes, cut between characters."""

from typing import Annotated

from fastapi import Depends

from api.dependencies import part
from contracts.artifacts import ArtifactRef
from contracts.nouns import ArtifactContent
from runtime.artifacts import DirectoryArtifactStore

ArtifactsDep = Annotated[DirectoryArtifactStore, Depends(part("artifacts"))]


async def read_slice(store: DirectoryArtifactStore, ref: ArtifactRef, offset: int, limit: int) -> ArtifactContent:
    """At most `limit` bytes from `offset` on, and where the next slice begins."""
    content = await store.read(ref, offset, limit + 1)
    more = len(content) > limit
    piece = _whole_characters(content[:limit]) if more else content
    return ArtifactContent(
        ref=ref, text=piece.decode(errors="replace"), next_offset=offset + len(piece) if more else None
    )


def _whole_characters(piece: bytes) -> bytes:
    """`piece` without the beginning of a character that the limit has cut; at most three bytes are left out."""
    for cut in range(1, 4):
        lead = piece[-cut]
        if lead >= 0xC0:
            length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return piece[:-cut] if length > cut else piece
        if lead < 0x80:
            return piece
    return piece
