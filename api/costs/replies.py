"""Costs as the API shows them."""

from collections.abc import Mapping
from typing import Any

from contracts.costs import CostLine

_COUNTS = (
    "requests", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "unknown_requests",
)  # fmt: skip


def line(row: Any, names: Mapping[str, str], estimates: Mapping[str, float]) -> CostLine:  # noqa: ANN401 - a row of `queries`
    """One line; an empty one for no row."""
    if row is None:
        return CostLine(key="total")
    return CostLine(
        key=row.key,
        name=names.get(row.key, "")[:300],
        cost_usd=float(row.cost_usd),
        unknown_usd=float(row.unknown_usd),
        estimated_usd=estimates.get(row.key),
        **{name: int(getattr(row, name)) for name in _COUNTS},
    )
