"""Parts and prices in lines for a terminal."""

from cli.terminal.plans import cost_line, part_lines
from contracts.costs import TaskCost
from contracts.states import TaskState
from tests.unit.bot.test_plans import PARTS
from tests.unit.bot.test_views import task


def test_each_part_says_what_it_waits_for() -> None:
    lines = part_lines(task(TaskState.FAILED, parts=[*PARTS[:3], PARTS[3].model_copy(update={"after": [3]})]))
    assert lines[0] == "✓ 1. Books <b> (completed)"
    assert lines[2] == "■ 3. Reviews (blocked; waits for 2, which failed)"
    assert lines[3].endswith("(open; after 3)")


def test_a_price_is_judged_only_once_the_work_has_ended() -> None:
    cost = TaskCost(cost_usd=0.5, unknown_usd=0.1, expected_usd=1.0, earlier_tasks=1)
    assert cost_line(cost, ended=True) == "$0.50 ($0.10 of it unknown); expected $1.00 by 1 earlier task (-50%)"
    assert cost_line(cost, ended=False) == "$0.50 ($0.10 of it unknown); expected $1.00 by 1 earlier task"
    assert cost_line(TaskCost(cost_usd=0.0004), ended=True) == "$0.0004"
    assert cost_line(None, ended=True) is None
