"""Every text in every language, and none in code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fluent.syntax import ast as fluent
from fluent.syntax import parse
from fluent.syntax.visitor import Visitor

from bot.texts import LANGUAGES, Markup, language_for, texts
from contracts.questions import OwnQuestion
from contracts.states import ProjectStatus, Role, TaskState
from emulators.telegram import html

BOT = Path(__file__).resolve().parents[3] / "bot"
CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)
# Ids that are put together in code, and what completes them.
COMPOSED = {
    "icon": [state.value for state in TaskState],
    "state": [state.value for state in TaskState],
    "project": [status.value for status in ProjectStatus],
    "role": [role.value for role in Role],
    "doubt": ["answer", "wish"],
    "button-doubt": ["answer", "wish"],
    "question": [question.value for question in OwnQuestion],
}
PREFIXES = ("choice-", "command-", "language-name-", "reason-", "stage-", "refused-")


class Variables(Visitor):
    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_VariableReference(self, node: fluent.VariableReference) -> None:
        self.names.add(node.id.name)


def messages(language: str) -> dict[str, set[str]]:
    """Ids with the names of their variables; what Fluent cannot read fails here."""
    resource = parse((BOT / "texts" / f"{language}.ftl").read_text(encoding="utf-8"))
    found: dict[str, set[str]] = {}
    for entry in resource.body:
        assert not isinstance(entry, fluent.Junk), entry.content
        if isinstance(entry, fluent.Message):
            assert entry.id.name not in found, f"{entry.id.name} is defined twice"
            variables = Variables()
            variables.visit(entry)
            found[entry.id.name] = variables.names
    return found


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(BOT.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def literals_that_people_could_read(tree: ast.Module) -> list[str]:
    """Texts of several words, or in Cyrillic, that are no docstring, no log line, no error, no usage of a program."""
    quiet: set[int] = set()
    for node in ast.walk(tree):
        is_log = isinstance(node, ast.Call) and re.match(r"(log\.|ArgumentParser|Field)", ast.unparse(node.func))
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_log or is_docstring or isinstance(node, ast.Raise | ast.Assert | ast.AnnAssign):
            quiet |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"_bad_token", "re.compile"}:
            quiet |= {id(inner) for inner in ast.walk(node)}
    found = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in quiet
    ]
    return [text for text in found if CYRILLIC.search(text) or re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", text)]


# Telegram's error texts, which the bot has to recognise.
TELEGRAM_ERRORS = {
    "message is not modified",
    "message to edit not found",
    "message can't be edited",
    "message to delete not found",
    "chat not found",
    "not enough rights",
    "have no rights",
    "need administrator rights",
    "group chat was deactivated",
    "rolling back",
}


def test_every_language_has_the_same_texts_with_the_same_variables() -> None:
    english, *others = [messages(language) for language in LANGUAGES]
    assert len(english) > 100
    for other in others:
        assert other == english


def test_code_contains_no_texts_for_people() -> None:
    for path, tree in sources():
        assert set(literals_that_people_could_read(tree)) - TELEGRAM_ERRORS == set(), path


def test_the_check_for_texts_in_code_finds_one() -> None:
    tree = ast.parse('"""A docstring here."""\nlog.info("a log line")\nsend("Hello there")\nsend("Привет")')
    assert literals_that_people_could_read(tree) == ["Hello there", "Привет"]


def named_in_code() -> set[str]:
    """Every string of the code that looks like an id of a text."""
    return {
        node.value
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_used_and_every_composed_id_exists(language: str) -> None:
    known = set(messages(language))
    composed = {f"{prefix}-{name}" for prefix, names in COMPOSED.items() for name in names}
    assert composed <= known
    unused = {name for name in known - named_in_code() - composed if not name.startswith(PREFIXES)}
    assert unused == set()


def test_every_id_that_is_asked_for_exists() -> None:
    asked = set()
    for _, tree in sources():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            if re.search(r"(texts|texts\.plain|texts\(\w+\)|texts\(\w+\)\.plain)$", ast.unparse(node.func)):
                asked.add(node.args[0].value)
    asked -= set(LANGUAGES)
    assert len(asked) > 30
    assert asked <= set(messages("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_valid_html(language: str) -> None:
    for name, variables in messages(language).items():
        text = texts(language)(name, **dict.fromkeys(variables, "<&>"))
        html.parse(text)


def test_values_are_escaped_unless_they_are_markup() -> None:
    assert texts("en")("screen-accepted", wish="<b>&").startswith("🕓 Accepted: <i>&lt;b&gt;&amp;</i>")
    assert "<b>x</b>" in texts("en")("step-now", name=Markup("<b>x</b>"))


def test_a_missing_text_or_variable_is_an_error() -> None:
    with pytest.raises(LookupError):
        texts("en")("no-such-text")
    with pytest.raises(LookupError):
        texts("en")("guest")


@pytest.mark.parametrize(
    ("code", "language"), [("ru", "ru"), ("ru-RU", "ru"), ("en-GB", "en"), ("de", "en"), (None, "en")]
)
def test_the_language_follows_the_persons_code(code: str | None, language: str) -> None:
    assert language_for(code) == language
