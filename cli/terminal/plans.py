"""The parts of a large work and its price, in lines for people."""

from contracts.costs import TaskCost
from contracts.nouns import TaskDTO
from contracts.parts import TaskPart
from contracts.states import PartState
from contracts.wording import counted, dollars

_MARKS = {
    PartState.COMPLETED: "✓",
    PartState.RUNNING: "▶",
    PartState.FAILED: "✗",
    PartState.BLOCKED: "■",
    PartState.OPEN: "·",
}


def part_lines(task: TaskDTO) -> list[str]:
    """A line for each part: its state, what it waits for, and the task that works on it."""
    return [_part_line(part) for part in task.parts]


def _part_line(part: TaskPart) -> str:
    notes = [part.state.value]
    if part.blocked_by:
        notes.append(f"waits for {', '.join(map(str, part.blocked_by))}, which failed")
    elif part.after and part.state is PartState.OPEN:
        notes.append(f"after {', '.join(map(str, part.after))}")
    if part.task_id:
        notes.append(part.task_id)
    return f"{_MARKS[part.state]} {part.number}. {part.title} ({'; '.join(notes)})"


def cost_line(cost: TaskCost | None, *, ended: bool) -> str | None:
    """What it has cost, what was expected by how many earlier tasks, and, once it has ended, how wrong that was.

    None without a model.
    """
    if cost is None:
        return None
    text = dollars(cost.cost_usd)
    if cost.unknown_usd:
        text += f" ({dollars(cost.unknown_usd)} of it unknown)"
    if cost.expected_usd is None:
        return text
    error = (cost.cost_usd - cost.expected_usd) / cost.expected_usd if cost.expected_usd else 0.0
    wrong = f" ({error:+.0%})" if ended and cost.expected_usd else ""
    by = counted(cost.earlier_tasks, "earlier task")
    return f"{text}; expected {dollars(cost.expected_usd)} by {by}{wrong}"
