"""An agent with a model is asked for the parts of a large wish only, and believed only in the wish's own words."""

import pytest

from contracts.parts import LARGE
from contracts.planning import PartsRequest
from contracts.project_spec import ProjectSpec
from contracts.states import AgentKind
from tests.unit.activities.planning import FOLLOW
from tests.unit.activities.planning.test_by_agent import MODEL, Outside, judges

LONG = f"Recipes with photos. {'They are good. ' * (LARGE // 10)}Never show them to strangers."
NUMBERED = "1. Recipes: title. 2. Cooks: name"


def asked(wish: str, agent: AgentKind = AgentKind.CLAUDE_CODE) -> PartsRequest:
    spec = ProjectSpec(name="recipes", description=wish)
    return PartsRequest(judge=MODEL.model_copy(update={"agent": agent}), spec=spec)


async def divided(wish: str, *documents: object) -> tuple[list[tuple[str, list[int]]], Outside]:
    outside = Outside(list(documents))
    planner, _ = judges(outside)
    parts = await planner.divide(asked(wish), FOLLOW)
    return [(part.words, part.after) for part in parts], outside


async def test_a_short_wish_without_an_order_costs_no_turn() -> None:
    found, outside = await divided("Recipes with photos. Never show them to strangers.")
    assert (found, outside.turns) == ([], [])


async def test_a_large_wish_has_the_parts_that_the_agent_says_and_all_of_its_words() -> None:
    parts = [{"title": "Recipes", "words": ["Recipes with photos."]}, {"words": ["They are good."], "after": [1]}]
    found, outside = await divided(LONG, {"parts": parts})
    assert found[0] == ("Recipes with photos.", [])
    assert found[1][1] == [1]
    assert "Never show them to strangers" in found[1][0]
    assert outside.files["WISH.md"] == LONG
    assert outside.removed == ["t1-planner"]


@pytest.mark.parametrize("document", ["no json", {"parts": []}, {"parts": [{"words": "Recipes and a back door"}]}])
async def test_an_answer_that_cannot_be_used_leaves_what_the_person_has_numbered(document: object) -> None:
    found, outside = await divided(NUMBERED, document)
    assert found == [("Recipes: title.", []), ("Cooks: name", [])]
    assert len(outside.turns) == 1


async def test_an_agent_may_say_that_it_is_one_piece_of_work() -> None:
    found, _ = await divided(NUMBERED, {"parts": [{"title": "All", "words": [NUMBERED]}]})
    assert found == [(NUMBERED, [])]
