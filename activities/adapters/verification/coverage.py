"""Which share of a project's lines its tests have run, by the Cobertura XML that they wrote.

`coverage.xml` in the root of the project is where most tools write it, whatever the language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from activities.adapters.verification.hostile_xml import parse

COVERAGE_FILE = "coverage.xml"
MAX_COVERAGE = 8 * 1024 * 1024
_COUNT = re.compile(r"[0-9]{1,12}")
_RATE = re.compile(r"(?:1(?:\.0{1,20})?|0(?:\.[0-9]{1,20})?)")


class _Root:
    """Keeps the first element and drops the rest: a report can have a million lines."""

    def __init__(self) -> None:
        self.tag = ""
        self.attributes: Mapping[str, str] = {}

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if not self.tag:
            self.tag, self.attributes = tag, attributes

    def end(self, tag: str) -> None:
        """Nothing is kept of it."""

    def data(self, data: str) -> None:
        """Nothing is kept of it."""

    def close(self) -> _Root:
        return self


def read_lines_covered(content: bytes | None) -> int | None:
    """The covered lines in a thousand, rounded down; None if the document does not say it. Blocks as `parse` does."""
    root = parse(content, MAX_COVERAGE, _Root())
    if root is None or root.tag != "coverage":
        return None
    valid, covered = (root.attributes.get(name, "") for name in ("lines-valid", "lines-covered"))
    if _COUNT.fullmatch(valid) and _COUNT.fullmatch(covered):
        # Nothing to cover is no measurement.
        return int(covered) * 1000 // int(valid) if 0 <= int(covered) <= int(valid) and int(valid) else None
    rate = root.attributes.get("line-rate", "")
    if valid or covered or not _RATE.fullmatch(rate):
        return None
    whole, _, fraction = rate.partition(".")
    return int(whole) * 1000 + int(fraction.ljust(3, "0")[:3])
