"""Modules follow from the wish."""

import pytest

from contracts.modules_of_wish import modules_of


@pytest.mark.parametrize(
    ("wish", "modules"),
    [
        ("Make a notes service: title", ["backend"]),
        ("A bot with a command /hello that answers Hi", ["backend", "tg_bot"]),
        ("A Telegram bot and notes: title", ["backend", "tg_bot"]),
        ("Бот с командой /hello", ["backend", "tg_bot"]),
        ("Телеграм-бот и заметки: текст", ["backend", "tg_bot"]),
        ("Notes with web pages: title", ["backend", "web"]),
        ("Веб-страницы и бота для заметок: текст", ["backend", "web", "tg_bot"]),
        ("Notes: title, text. No bot please", ["backend"]),
        ("Заметки: текст. Без бота, и не нужен бот", ["backend"]),
        ("Robots: name, boat:bool", ["backend"]),
        ("Работа с заботой: имя", ["backend"]),
    ],
)
def test_a_module_is_there_when_the_words_call_for_it(wish: str, modules: list[str]) -> None:
    assert sorted(module.value for module in modules_of(wish)) == sorted(modules)
