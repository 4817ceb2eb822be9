"""docs/security.md says of every attack from inside what comes of it."""

import pytest

from tests.secrets import attack_table


def test_the_table_names_every_attempt_and_no_other() -> None:
    assert set(attack_table.table()) == attack_table.names()


def test_each_cell_says_whether_something_is_reached() -> None:
    for attempt, row in attack_table.table().items():
        assert all(attack_table.is_short(cell) for cell in row.values()), attempt


@pytest.mark.parametrize(
    ("answer", "is_fault"), [("no: refused", False), ("got: the memory of 1", True), ("planted: 3", False)]
)
def test_an_answer_is_judged_by_the_table(answer: str, is_fault: bool) -> None:
    answers = dict.fromkeys(attack_table.names(), "no: x")
    reached = {name for name, row in attack_table.table().items() if not row["docker", "turn"].startswith("no")}
    assert not reached
    found = attack_table.faults("docker", "turn", answers | {"trace others": answer})
    assert bool(found) is is_fault


def test_an_attempt_that_was_not_made_proves_nothing() -> None:
    assert attack_table.faults("docker", "turn", {})
