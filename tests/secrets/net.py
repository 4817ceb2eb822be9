"""Looks for canaries in bytes: as they are, wrapped over lines, and within what is compressed or archived."""

import base64
import bz2
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import zstandard
from ahocorasick_rs import BytesAhoCorasick

from tests.secrets.canaries import Canary

_BLANKS = b" \t\r\n\v\f"
_DEEPEST = 4
_LARGEST = 64 * 1024 * 1024
_HEAD = 4 * 1024
_STEP = 16 * 1024
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\x00"
_ZIP = b"PK\x03\x04"
# How the beginnings of compressed data look as base64 and in hexadecimal.
_PACKED_BASE64 = (b"H4sI", b"eAF", b"eF4", b"eJ", b"eN", b"KLUv", b"QlpoO", b"/Td6W", b"UEsDB")
_PACKED_HEX = (b"1f8b08", b"7801", b"785e", b"789c", b"78da", b"28b52ffd", b"425a68", b"fd377a585a", b"504b0304")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}")
_HEX = re.compile(rb"[0-9a-fA-F]{36,}")


@dataclass(frozen=True, order=True)
class Hit:
    """A canary by its name, and how it was written."""

    canary: str
    form: str


class Net:
    """All canaries together."""

    def __init__(self, canaries: list[Canary]) -> None:
        forms = [(Hit(canary.name, form), needle) for canary in canaries for form, needle in canary.forms()]
        self._hits = [hit for hit, _ in forms]
        self._automaton = BytesAhoCorasick([needle.translate(None, _BLANKS) for _, needle in forms])

    def hits(self, content: bytes) -> set[Hit]:
        return self._search(content, 0)

    def _search(self, content: bytes, depth: int) -> set[Hit]:
        squeezed = content.translate(None, _BLANKS)
        found = self._match(squeezed)
        inside = [_unpacked(content)]
        # A program or a database file is no text: what it holds in such forms is looked at where it is written.
        if b"\0" not in content[:_HEAD]:
            found |= {hit for view in _views(content, squeezed) for hit in self._match(view)}
            inside.append(_decoded(squeezed))
        for form, part in chain.from_iterable(inside) if depth < _DEEPEST else ():
            found |= {Hit(hit.canary, f"{form}: {hit.form}") for hit in self._search(part, depth + 1)}
        return found

    def _match(self, content: bytes) -> set[Hit]:
        return {self._hits[index] for index, _, _ in self._automaton.find_matches_as_indexes(content, overlapping=True)}


def _views(content: bytes, squeezed: bytes) -> Iterator[bytes]:
    """The same text without the separators between its characters where it was wrapped or written byte by byte."""
    if b"\\n" in squeezed or b"\\r" in squeezed:
        yield squeezed.replace(b"\\\\n", b"").replace(b"\\n", b"").replace(b"\\r", b"")
    if b"=\n" in content or b"=\r\n" in content:
        yield re.sub(rb"=\r?\n", b"", content).translate(None, _BLANKS)
    if b"%" in squeezed or b"\\x" in squeezed:
        yield squeezed.replace(b"%", b"").replace(b"\\x", b"")


def _unpacked(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Everything compressed in it, wherever that begins. What only looks compressed gives nothing."""
    for form, magics in (("gzip", (_GZIP,)), ("zlib", _ZLIB), ("zstd", (_ZSTD,)), ("bzip2", (_BZIP2,)), ("xz", (_XZ,))):
        for magic in magics:
            for start in _positions(content, magic):
                if inside := _inflated(form, content, start):
                    yield form, inside
    if content.startswith(_ZIP):
        for inside in _members(content):
            yield "zip", inside


def _decoded(squeezed: bytes) -> Iterator[tuple[str, bytes]]:
    """What was compressed and then written as text."""
    for magic in _PACKED_BASE64:
        for start in _positions(squeezed, magic):
            if match := _BASE64.match(squeezed, start):
                text = match[0].replace(b"-", b"+").replace(b"_", b"/")
                yield "base64", base64.b64decode(text[: len(text) // 4 * 4])
    for magic in {*_PACKED_HEX, *(magic.upper() for magic in _PACKED_HEX)}:
        for start in _positions(squeezed, magic):
            if match := _HEX.match(squeezed, start):
                yield "hexadecimal", bytes.fromhex(match[0].decode()[: len(match[0]) // 2 * 2])


def _positions(content: bytes, magic: bytes) -> Iterator[int]:
    start = content.find(magic)
    while start >= 0:
        yield start
        start = content.find(magic, start + 1)


def _inflated(form: str, content: bytes, start: int) -> bytes:
    """As much as there is, also of a stream that was cut; nothing of what is none."""
    decoder = {
        "gzip": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
        "zlib": zlib.decompressobj,
        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
        "bzip2": bz2.BZ2Decompressor,
        "xz": lzma.LZMADecompressor,
    }[form]()
    found = b""
    try:
        # In small steps: most of what only looks compressed shows itself with the first.
        for place in range(start, len(content), _STEP):
            found += decoder.decompress(content[place : place + _STEP])
            if decoder.eof or len(found) > _LARGEST:
                break
    except (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError):
        pass
    return found


def _members(content: bytes) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    yield file.read(_LARGEST)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error):
        return
