"""The pictures of imports in docs/architecture.md are those of the code."""

import pytest

from tests.contract.import_picture import PAGE, _needed, page_with, pictures


def test_the_pictures_of_the_page_are_drawn_from_the_code() -> None:
    page = PAGE.read_text()
    assert page_with(pictures(), page) == page, "run: python -m tests.contract.import_picture --write"


def test_arrows_that_others_imply_are_left_out() -> None:
    assert _needed({("a", "b"), ("b", "c"), ("a", "c")}) == {("a", "b"), ("b", "c")}


def test_a_picture_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        page_with({"nothing": "x"}, "a page")
