"""The scan for secrets can fail: each way in which a value may be written down is planted in the open, and found."""

import base64
import bz2
import gzip
import html
import io
import json
import lzma
import quopri
import secrets
import shlex
import sqlite3
import tarfile
import textwrap
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import zstandard

from tests.secrets.canaries import Canary, known_canary, new_canary
from tests.secrets.net import Net

CANARY = new_canary("awkward")
LINES = new_canary("of several lines", lines=3)
TOKEN = known_canary("token", f"orch_{secrets.token_urlsafe(32)}")
KEY = Canary("raw key", secrets.token_bytes(32))
NOISE = secrets.token_bytes(5_000)
ALL = [CANARY, LINES, TOKEN, KEY]
NET = Net(ALL)

TEXTS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON with letters": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON with letters in JSON with letters": lambda text: json.dumps(
        json.dumps(text, ensure_ascii=False), ensure_ascii=False
    ),
    "JSON in base64": lambda text: base64.b64encode(json.dumps({"a": text}).encode()).decode(),
    "Python": repr,
    "URL": quote,
    "URL, all of it": lambda text: quote(text, safe=""),
    "every character of a URL": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "every character of a string": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "form": quote_plus,
    "HTML": html.escape,
    "shell": shlex.quote,
    "shell in shell": lambda text: shlex.quote(f"echo {shlex.quote(text)}"),
    "quoted printable": lambda text: quopri.encodestring(b"x" * 60 + text.encode()).decode(),
    "wrapped": lambda text: "\n    ".join(textwrap.wrap(text, 11, break_long_words=True)),
    "wrapped in JSON": lambda text: json.dumps("\n".join(textwrap.wrap(text, 11))),
}
BYTES: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "hexadecimal": lambda value: value.hex().encode(),
    "HEXADECIMAL": lambda value: value.hex().upper().encode(),
    **{
        f"base64 after {before}": lambda value, before=before: base64.b64encode(b"x" * before + value + b"z")
        for before in range(3)
    },
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(b"?" + value),
    "base64 in lines": lambda value: base64.encodebytes(b"x" * 50 + value),
    "base64, twice": lambda value: base64.b64encode(b"x" + base64.b64encode(b"y" + value)),
    "gzip": gzip.compress,
    "gzip in the middle": lambda value: NOISE + gzip.compress(value) + NOISE,
    "gzip that was cut": lambda value: gzip.compress(value + NOISE)[:2_000],
    "gzip in base64": lambda value: base64.b64encode(gzip.compress(value)),
    "gzip in lines in JSON": lambda value: json.dumps(base64.encodebytes(gzip.compress(value)).decode()).encode(),
    "gzip in hexadecimal": lambda value: b"\\x" + gzip.compress(value).hex().encode(),
    "gzip in gzip": lambda value: gzip.compress(b"x" + gzip.compress(value)),
    "zlib": zlib.compress,
    "zlib, level 1": lambda value: zlib.compress(value, 1),
    "zlib, level 9, in base64": lambda value: base64.b64encode(zlib.compress(value, 9)),
    "zstd": lambda value: zstandard.compress(value),
    "zstd in the middle": lambda value: NOISE + zstandard.compress(value) + NOISE,
    "zstd in base64": lambda value: base64.b64encode(zstandard.compress(value)),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda value: zipped(value),
    "tar": lambda value: tarred(value, "w"),
    "tar, gzip": lambda value: tarred(value, "w:gz"),
    "tar, xz, in tar": lambda value: tarred(tarred(value, "w:xz"), "w"),
    "git object": lambda value: zlib.compress(b"blob %d\0" % len(value) + value),
}  # fmt: skip


def zipped(value: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.txt", value)
    return out.getvalue()


def tarred(value: bytes, mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo("inside.txt")
        member.size = len(value)
        archive.addfile(member, io.BytesIO(value))
    return out.getvalue()


def found(content: bytes) -> set[str]:
    return {hit.canary for hit in NET.hits(content)}


@pytest.mark.parametrize("canary", [CANARY, LINES, TOKEN], ids=lambda canary: canary.name)
@pytest.mark.parametrize("form", TEXTS)
def test_a_value_is_found_in_every_text(form: str, canary: Canary) -> None:
    assert found(f"before {TEXTS[form](canary.text)} after".encode()) == {canary.name}


@pytest.mark.parametrize("canary", ALL, ids=lambda canary: canary.name)
@pytest.mark.parametrize("form", BYTES)
def test_a_value_is_found_in_every_packing(form: str, canary: Canary) -> None:
    assert found(BYTES[form](canary.value)) == {canary.name}


@pytest.mark.parametrize("form", ["JSON", "URL, all of it", "shell in shell"])
def test_a_text_is_found_when_it_was_also_packed(form: str) -> None:
    assert found(gzip.compress(TEXTS[form](CANARY.text).encode())) == {CANARY.name}


def test_half_of_a_value_is_found() -> None:
    text = CANARY.text
    assert found(text[: len(text) // 2].encode()) == {CANARY.name}
    assert found(text[len(text) // 2 :].encode()) == {CANARY.name}
    assert found(TOKEN.value[:25]) == {TOKEN.name}


def test_a_text_of_two_bytes_for_each_character_is_found() -> None:
    assert found(CANARY.text.encode("utf-16")) == {CANARY.name}


def test_a_deleted_row_is_found_in_the_file_of_a_database(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "some.db")
    database.execute("PRAGMA secure_delete = OFF")
    with database:
        database.execute("CREATE TABLE some (what BLOB)")
        database.execute("INSERT INTO some VALUES (?)", [b"x" * 9_000 + CANARY.value])
    with database:
        database.execute("DELETE FROM some")
    database.close()
    assert found((tmp_path / "some.db").read_bytes()) == {CANARY.name}


def test_nothing_is_found_where_nothing_is() -> None:
    other = new_canary("another")
    for content in (NOISE, gzip.compress(NOISE), other.value, json.dumps(other.text).encode(), b"", b"H4sI" * 100):
        assert found(content) == set()


def test_a_report_never_shows_the_value() -> None:
    hits = NET.hits(b" ".join(canary.value for canary in ALL))
    assert {hit.canary for hit in hits} == {canary.name for canary in ALL}
    assert not NET.hits(repr(hits).encode())
