"""The board of a work in parts, and what each part is told: pure."""

from contracts.criteria import Criterion
from contracts.departments import EngineeringResult
from contracts.parts import PartOf, WorkPart
from contracts.project_spec import ProjectSpec
from contracts.states import Module, ResultStatus
from workflows import rules
from workflows.parts import wording
from workflows.parts.board import Board


def part(number: int, *after: int, words: str = "") -> WorkPart:
    return WorkPart(number=number, title=f"Part {number}", words=words or f"Part {number}", after=list(after))


def result(*criteria: str) -> EngineeringResult:
    found = [Criterion(id=f"c{n}", sentence=one) for n, one in enumerate(criteria, start=1)]
    return EngineeringResult(request_id="r", status=ResultStatus.SUCCESS, summary="s", criteria=found)


def test_what_is_blocked_names_the_part_that_has_failed_also_from_afar() -> None:
    board = Board([part(1), part(2, 1), part(3, 2), part(4)])
    board.begin(1, "eng-1")
    assert board.fail(1) == [2, 3]
    assert [one.blocked_by for one in board.shown()] == [[], [1], [1], []]
    following = board.next()
    assert following is not None
    assert following.number == 4
    board.complete(4, "eng-4", result())
    assert board.next() is None
    assert board.left() == "1 part of 4 on main. Blocked by that: 2, 3."


def test_criteria_of_parts_are_named_apart() -> None:
    found = wording.together("d", [(2, result("b")), (1, result("a"))])
    assert [(one.id, one.sentence) for one in found.criteria] == [("1-c1", "a"), ("2-c1", "b")]
    assert found.summary == "1. s\n\n2. s"


def test_a_part_has_the_modules_of_the_parts_up_to_it() -> None:
    parts = [part(1, words="Books: title"), part(2, words="A Telegram bot: /hello says Hi"), part(3, words="Web pages")]
    whole = ProjectSpec(name="n", description="all", modules=[Module.BACKEND, Module.TG_BOT, Module.WEB])
    assert [wording.spec_of(whole, parts, one).modules for one in parts] == [
        [Module.BACKEND], [Module.BACKEND, Module.TG_BOT], [Module.BACKEND, Module.TG_BOT, Module.WEB],
    ]  # fmt: skip


def test_directives_of_other_parts_are_not_told() -> None:
    told = rules.part_context(PartOf(number=1, total=2, plan=["1. Books", "2. Clubs [agent:crash]"]))
    assert "[agent" not in told
    assert "part 1 of 2" in told
