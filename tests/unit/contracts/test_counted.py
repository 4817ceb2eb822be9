"""One is one: no text for people says "1 workers"."""

import re
from pathlib import Path

import pytest

from contracts.wording import counted

ROOT = Path(__file__).parents[3]
FOLDERS = ("activities", "api", "bot", "cli", "runtime", "workers", "workflows")
NOUNS = (
    "workers pollers restarts rounds projects tasks questions releases messages turns files bytes characters times "
    "secrets services deploys days hours minutes attempts commits repositories problems processes images"
)
NUMBER_BEFORE_PLURAL = re.compile(rf"\{{(?!_?[A-Z])[^{{}}\"]+\}} (?:{NOUNS.replace(' ', '|')})\b")
KNOWN = {"{len(payload.data):,} bytes", "{limit} bytes", "{size:,} bytes", "{size} bytes", "{len(changed)} files"}
"""What is counted there is never one, or is no number; nor are constants, which are named in capitals."""


@pytest.mark.parametrize(("number", "said"), [(0, "0 workers"), (1, "1 worker"), (2, "2 workers"), (21, "21 workers")])
def test_one_has_no_plural(number: int, said: str) -> None:
    assert counted(number, "worker") == said


def test_a_plural_may_be_said() -> None:
    found = [counted(number, "repository", "repositories") for number in (1, 2)]
    assert found == ["1 repository", "2 repositories"]


def test_every_number_before_a_plural_is_counted() -> None:
    found = {
        (str(path.relative_to(ROOT)), match[0])
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for match in NUMBER_BEFORE_PLURAL.finditer(path.read_text())
    }
    assert {said for said in found if said[1] not in KNOWN} == set()
