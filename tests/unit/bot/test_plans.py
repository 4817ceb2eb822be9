"""The parts of a large work and its price, as a chat shows them in both languages."""

import pytest

from bot.rendering import views
from bot.rendering.progress import Progress
from bot.rendering.views import RunningTask
from bot.texts import LANGUAGES, texts
from contracts.costs import TaskCost
from contracts.parts import TaskPart
from contracts.states import Stage, TaskState
from tests.unit.bot.test_views import TASK, screen, task

PARTS = [
    TaskPart.model_validate({"number": number, "title": title, "words": title} | fields)
    for number, title, fields in (
        (1, "Books <b>", {"state": "completed"}),
        (2, "Stars", {"state": "failed", "after": [1]}),
        (3, "Reviews", {"state": "blocked", "after": [2], "blocked_by": [2]}),
        (4, "x" * 100, {}),
    )
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_running_work_shows_its_parts_and_what_blocks_them(language: str) -> None:
    running = RunningTask(screen=screen(), project="books", progress=Progress(TASK), parts=PARTS)
    text = views.running(texts(language), running).text
    assert "✅ 1. Books &lt;b&gt;\n❌ 2. Stars\n⛔ 3. Reviews — " in text
    assert f"▫️ 4. {'x' * 59}…" in text
    assert (
        "✅ 1."
        in views.final(texts(language), screen(), "books", task(TaskState.FAILED, parts=PARTS), Stage.DEVELOPING).text
    )


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (TaskCost(cost_usd=1.5, expected_usd=1.0, earlier_tasks=4), ["$1.50", "$1.00", "+50%", "4"]),
        (TaskCost(cost_usd=0.25), ["$0.25"]),
        (TaskCost(cost_usd=0.25, expected_usd=0), ["$0.25"]),
        (None, []),
    ],
)
def test_the_end_says_what_it_cost_and_how_wrong_the_price_was(cost: TaskCost | None, said: list[str]) -> None:
    done = task(TaskState.COMPLETED, cost=cost, result={"deployed_url": "http://127.0.0.1:1"})
    for language in LANGUAGES:
        text = views.final(texts(language), screen(), "books", done, Stage.PROMOTING).text
        assert [one for one in said if one not in text] == []
        assert ("$" in text) == bool(said)
