"""A wish about the interface in a list of fields is not built, and is no field; real fields are."""

import pytest

from activities.adapters.agents.scripted.reading.sentences import understand

WISHES = [
    "dark mode", "Dark Mode", "a dark theme", "light theme", "night mode", "mobile friendly", "mobile-friendly", "fast",
    "very fast", "nice design", "responsive", "responsive design", "beautiful", "user-friendly interface", "modern UI",
    "clean simple design", "looks good", "mobile version", "fast loading", "good performance", "intuitive",
    "тёмная тема", "темная тема", "тёмный режим", "удобный интерфейс", "красивый дизайн", "быстро", "быстрый",
    "clean and simple design", "simple, clean look", "light, simple and modern design", "reliable backend",
    "nice colors", "stable and secure server", "чистый и простой дизайн", "простой и надёжный сервис", "приятные цвета",
    "адаптивная вёрстка", "мобильная версия", "современное оформление", "красивый внешний вид", "очень удобно",
]  # fmt: skip
FIELDS = [
    "mode", "dark", "theme", "design", "style", "interface", "light", "speed", "look", "dark mode:bool", "fast:bool",
    "responsive (bool)", "night", "version", "mobile", "mobile phone", "design date:date", "mobile number",
    "тема", "режим", "дизайн", "стиль", "версия", "мобильный телефон", "вид", "быстрый:bool", "тема урока",
    "clean", "simple", "colors", "code", "server", "secure", "чистый", "цвет", "код",
]  # fmt: skip


def heard(text: str) -> tuple[list[str], list[str]]:
    """The fields of the only thing, and the words of what is not built."""
    wish = understand(text)
    [thing] = wish.entities
    return [one.name for one in thing.fields], [one.words for one in wish.not_built]


@pytest.mark.parametrize("asked", WISHES)
def test_a_wish_about_the_interface_is_not_built(asked: str) -> None:
    words = asked.removeprefix("a ")
    assert heard(f"Books: title, {asked}") == (["title"], [words])
    assert heard(f"Books with title and {asked}.") == (["title"], [words])
    assert heard(f"A book list:\n- title\n- {asked}\n") == (["title"], [words])


@pytest.mark.parametrize("asked", WISHES)
def test_fields_around_it_are_built(asked: str) -> None:
    words = asked.removeprefix("a ")
    assert heard(f"Books: title, {asked}, year:int, pages") == (["title", "year", "pages"], [words])
    assert heard(f"Books: {asked}, title, year:int") == (["title", "year"], [words])


@pytest.mark.parametrize("field", FIELDS)
def test_a_real_field_stays_one(field: str) -> None:
    fields, not_built = heard(f"Books: title, {field}, year:int")
    assert (len(fields), fields[0], fields[-1], not_built) == (3, "title", "year", [])


def test_nothing_but_wishes_about_the_interface_is_nothing_to_build() -> None:
    wish = understand("Books: dark mode, fast")
    assert wish.entities == []
    assert len(wish.not_built) >= 1


def test_each_part_of_a_list_stands_in_the_persons_own_words() -> None:
    wish = understand("Books: title, dark mode, year:int. Sort them")
    assert [(one.words, one.built) for one in wish.criteria] == [
        ("Books: title", True), ("year:int", True), ("dark mode", False), ("Sort them", False),
    ]  # fmt: skip


@pytest.mark.parametrize("asked", ["Add the field responsive to books", "Добавь в книги поле быстрый"])
def test_what_a_person_calls_a_field_is_one(asked: str) -> None:
    [change] = understand(asked).changes
    assert len(change.fields) == 1


@pytest.mark.parametrize("asked", ["Add dark mode to books", "Add rating:int and dark mode to books"])
def test_a_wish_about_the_interface_is_no_change_of_a_thing(asked: str) -> None:
    wish = understand(asked)
    assert (wish.changes, [one.words for one in wish.not_built]) == ([], [asked])
