"""Transcripts of chats in docs/chat-transcripts: written by the tests, and held against what the tests see."""

import os
import re
from pathlib import Path

from emulators.telegram.chats import Chat
from emulators.telegram.transcript import written

DIRECTORY = Path(__file__).resolve().parents[2] / "docs" / "chat-transcripts"
_RENAME = (
    (r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:18000"),
    (r"http://(10|172)\.\d+\.\d+\.\d+:\d+", "http://127.0.0.1:18000"),
    (r"\b(dlv|eng|dep)-[0-9a-f]{12}", r"\1-0123456789ab"),
    (r"\b[0-9a-f]{12,40}\b", "0123456789ab"),
    (r"\b\d{6,10}\b", "123456789"),
    (r"(🧪 \S+: )\d+(, \D*)\d+ %", r"\g<1>24\g<2>87 %"),
)
_PERCENT = re.compile(r"\d+ ?%")


def check_transcript(name: str, chat: Chat) -> None:
    """The committed transcript has the same first and last screens and no screen that is unlike any of today's.

    How many edits there are in between depends on the machine. With WRITE_TRANSCRIPTS=1 it is written anew.
    """
    now = written(chat, rename=_RENAME)
    path = DIRECTORY / name
    if os.environ.get("WRITE_TRANSCRIPTS") == "1":
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        path.write_text(now, encoding="utf-8")
    committed = path.read_text(encoding="utf-8")
    old, new = _blocks(committed), _blocks(now)
    advice = f"run the test with WRITE_TRANSCRIPTS=1 and commit docs/chat-transcripts/{name}"
    assert (old[0], old[-1]) == (new[0], new[-1]), advice
    assert {_shape(block) for block in old} & {_shape(block) for block in new}, advice
    assert len({_shape(block) for block in old} ^ {_shape(block) for block in new}) <= len(new) // 2, advice


def _blocks(text: str) -> list[str]:
    return [block.strip() for block in re.split(r"\n\n(?=\*\*)", text) if block.strip()]


def _shape(block: str) -> str:
    """A screen without how far it is."""
    return re.sub(r"[🔄✅▫️]+ ?", "", _PERCENT.sub("", block))
