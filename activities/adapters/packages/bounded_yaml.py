"""YAML from outside: as much of it as a small file needs, and never more work than its size.

A few hundred bytes of nested merges become millions of entries, and a scalar that is not of its type fails in PyYAML as
it happens to.
"""

from __future__ import annotations

import yaml

MAX_BYTES = 64 * 1024
_MAX_MERGED = 10_000
_MALFORMED = (yaml.YAMLError, RecursionError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


class UnusableYaml(ValueError):
    """Its text completes the sentence "the file …"; it repeats nothing of the file."""


class _Loader(yaml.SafeLoader):
    """Counts what merges copy."""

    _merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        self._merged += len(node.value)
        if self._merged > _MAX_MERGED:
            raise UnusableYaml("merges too many entries; write them out")


def load(text: str) -> object:
    """The value in the text. Blocks for at most some tenths of a second: call it in a thread. Raises UnusableYaml."""
    if len(text.encode()) > MAX_BYTES:
        raise UnusableYaml(f"is larger than {MAX_BYTES // 1024} KB")
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except UnusableYaml:
        raise
    except _MALFORMED as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise UnusableYaml(f"is not valid YAML{place}") from None
