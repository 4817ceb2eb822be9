"""The parts of a large work, and what it has cost, in the words of the person's language."""

from collections.abc import Sequence

from bot.texts import Markup, Texts
from contracts.nouns import TaskDTO
from contracts.parts import TaskPart
from contracts.states import PartState
from contracts.wording import dollars

_MAX_TITLE = 60
_ICONS = {
    PartState.COMPLETED: "✅",
    PartState.RUNNING: "▶️",
    PartState.FAILED: "❌",
    PartState.BLOCKED: "⛔",
    PartState.OPEN: "▫️",
}


def with_parts(texts: Texts, text: Markup, parts: Sequence[TaskPart]) -> Markup:
    """A text with a line for each part below it; unchanged for a work in one piece."""
    return Markup("\n".join([text, "", *(_line(texts, part) for part in parts)])) if parts else text


def _line(texts: Texts, part: TaskPart) -> Markup:
    title = part.title if len(part.title) <= _MAX_TITLE else f"{part.title[: _MAX_TITLE - 1]}…"
    line = texts("part-line", icon=_ICONS[part.state], number=part.number, title=title)
    if not part.blocked_by:
        return line
    return texts("part-blocked", line=line, by=", ".join(map(str, part.blocked_by)))


def price(texts: Texts, task: TaskDTO) -> list[Markup]:
    """What it has cost, and by how much the expectation was wrong; nothing for work without a model."""
    cost = task.cost
    if cost is None:
        return []
    if not cost.expected_usd:
        return [texts("task-cost", usd=dollars(cost.cost_usd))]
    error = f"{(cost.cost_usd - cost.expected_usd) / cost.expected_usd:+.0%}"
    spent, expected = dollars(cost.cost_usd), dollars(cost.expected_usd)
    return [texts("task-cost-expected", error=error, usd=spent, expected=expected, count=cost.earlier_tasks)]
