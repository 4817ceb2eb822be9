"""A wish, its criteria and checks, commits that fulfil it, and commits that pass their own tests and miss one point."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.acceptance import AcceptanceCheck
from contracts.criteria import Criterion
from tests.support.services.generated_project import AGENT, git, repository

Files = dict[str, str]
Change = Callable[[Files], None]

ASKED_OF_AGENT = (
    "A bookshelf with books: title, author and year. Also users with name, email and password. "
    'And a bot that answers /about with "A shelf of books".'
)
WISH = (
    f"{ASKED_OF_AGENT} Books can be added on a page, which lists them. Nobody deletes a book over the API. "
    "A password never comes back. What was saved is there after a restart."
)
_BOOKS, _BOOK_TESTS = "services/backend/routes/books.py", "tests/backend/test_books.py"
_USERS, _USER_TESTS = "services/backend/routes/users.py", "tests/backend/test_users.py"
_LIST = "services/web/templates/list.html"
_ABOUT, _ABOUT_TESTS = "services/tg_bot/handlers/about.py", "tests/tg_bot/test_about_command.py"
_PAGE_TESTS = "tests/web/test_books.py"

BOOK = {"title": "Dune {unique}", "author": "Herbert", "year": 1965}
USER = {"name": "Ann {unique}", "email": "ann-{unique}@example.com", "password": "open-{unique}"}


def _http(path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    return {"kind": "http", "method": method, "path": path, **more}


def _new_book(**more: Any) -> dict[str, Any]:
    return _http("/books", "POST", json=BOOK, save={"book": "id"}, expect={"status": "2xx"}) | more


_HAS_BOOK = {"json": [{"path": name, "equals": value} for name, value in BOOK.items()]}
_NO_PASSWORD = {"status": "2xx", "lacks": ["open-{unique}", "scrypt", '"password"']}
STEPS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "fields": ("A book has title, author and year", [_new_book(), _http("/books/{book}", expect=_HAS_BOOK)]),
    "created": (
        "A new book is answered with 201, and an unknown one with 404",
        [_new_book(expect={"status": 201}), _http("/books/999999", expect={"status": 404})],
    ),
    "required": (
        "A book without a title is refused",
        [_http("/books", "POST", json={"author": "Herbert", "year": 1965}, expect={"status": "4xx"})],
    ),
    "undeleted": (
        "Nobody deletes a book over the API",
        [
            _new_book(),
            _http("/books/{book}", "DELETE", expect={"status": "4xx"}),
            _http("/books/{book}", expect={"status": 200}),
        ],
    ),
    "secret": (
        "A password never comes back",
        [
            _http("/users", "POST", json=USER, save={"user": "id"}, expect=_NO_PASSWORD),
            _http("/users/{user}", expect=_NO_PASSWORD),
            _http("/users", expect=_NO_PASSWORD | {"contains": ["Ann {unique}"]}),
        ],
    ),
    "operator": (
        "Only the operator sees numbers",
        [
            _http("/admin/status", expect={"status": 401}),
            _http(
                "/admin/status",
                headers={"Authorization": "Bearer {secret:ADMIN_TOKEN}"},
                expect={"json": [{"path": "rows.books", "type": "integer"}]},
            ),
        ],
    ),
    "kept": (
        "What was saved is there after a restart",
        [_new_book(), {"kind": "restart"}, _http("/books/{book}", expect={"status": 200})],
    ),
    "about": (
        "/about answers: A shelf of books",
        [{"kind": "bot", "send": "/about", "expect": {"contains": ["a shelf of books"]}}],
    ),
    "listed": (
        "A page lists the books",
        [
            _new_book(),
            {
                "kind": "page",
                "path": "/pages/books",
                "expect": {"visible": ["Dune {unique}", "Herbert", "1965"], "title": "Books"},
                "screenshot": "books",
            },
        ],
    ),
    "added": (
        "A book is added on the page",
        [
            {
                "kind": "page",
                "path": "/pages/books",
                "actions": [
                    {"do": "fill", "target": "Title", "value": "Emma {unique}"},
                    {"do": "fill", "target": "Author", "value": "Austen"},
                    {"do": "fill", "target": "Year", "value": "1815"},
                    {"do": "click", "target": "Add", "role": "button"},
                ],
                "screenshot": "added",
            },
            _http("/books", expect={"json": [{"path": "", "contains": {"title": "Emma {unique}", "year": 1815}}]}),
        ],
    ),
}
"""Criterion to its sentence and the steps of its only check."""
CRITERIA = [Criterion(id=name, sentence=sentence) for name, (sentence, _) in STEPS.items()]
CHECKS = [
    AcceptanceCheck.model_validate({"id": f"check-{name}", "criterion_id": name, "title": sentence, "steps": steps})
    for name, (sentence, steps) in STEPS.items()
]


@dataclass(frozen=True)
class Miss:
    """A commit that passes its own tests. `criteria`: what it misses. `dropped`: the clause is one that plans lose."""

    criteria: tuple[str, ...]
    change: Change
    dropped: bool = False


def _edits(*edits: tuple[str, str, str]) -> Change:
    """Each text is there, and everywhere in its file replaced by the other."""

    def change(files: Files) -> None:
        for path, old, new in edits:
            assert old in files[path], f"{path} has no {old!r}"
            files[path] = files[path].replace(old, new)

    return change


def _without_lines(word: str, *paths: str) -> Change:
    def change(files: Files) -> None:
        for path in paths:
            files[path] = "".join(line for line in files[path].splitlines(keepends=True) if word not in line)

    return change


def _all(*changes: Change) -> Change:
    def change(files: Files) -> None:
        for one in changes:
            one(files)

    return change


def _without(path: str) -> Change:
    def change(files: Files) -> None:
        del files[path]

    return change


_UNDELETED = _all(
    _edits((_BOOKS, "\n\n\n" + '@router.delete("/{row_id}", status_code=status.HTTP_204_NO_CONTENT)', "\n# cut here")),
    lambda files: files.update({_BOOKS: files[_BOOKS].partition("\n# cut here")[0] + "\n"}),
    lambda files: files.update({_BOOK_TESTS: _without_test(files[_BOOK_TESTS], "test_a_deleted_one_is_gone")}),
    _edits((_BOOK_TESTS, '    assert client.delete(f"{PATH}/{row_id}").status_code == 404\n', "")),
)
"""What the script does not understand of the wish."""


def _without_test(text: str, name: str) -> str:
    return re.sub(rf"\n\n\ndef {name}.*?(?=\n\n\n|\n\Z)", "", text, flags=re.DOTALL)


MISSES: Mapping[str, Miss] = {
    "a field is forgotten": Miss(
        ("fields", "listed", "added"),
        _without_lines(
            "year",
            "services/backend/models/book.py",
            "services/backend/migrations/versions/0001_book.py",
            _BOOK_TESTS,
            _PAGE_TESTS,
        ),
    ),
    "the status is another": Miss(
        ("created",),
        _edits((_BOOKS, "HTTP_201_CREATED", "HTTP_200_OK"), (_BOOK_TESTS, "status_code == 201", "status_code == 200")),
    ),
    "the list of users has their passwords": Miss(
        ("secret",),
        _edits(
            (_USERS, "list[model.UserView]", "list[model.User]"),
            (_USER_TESTS, "client.get(one), client.get(PATH)):", "client.get(one)):"),
            (_USER_TESTS, "client.get(PATH).json() == [created]", "len(client.get(PATH).json()) == len([created])"),
            (_USER_TESTS, "client.get(PATH).json() == [kept]", "len(client.get(PATH).json()) == len([kept])"),
        ),
    ),
    "a book can be deleted": Miss(("undeleted",), lambda files: None, dropped=True),
    "a command is not answered": Miss(
        ("about",), _all(_edits((_ABOUT, 'await message.answer("\\n".join(LINES))', "return")), _without(_ABOUT_TESTS))
    ),
    "a command answers another text": Miss(
        ("about",), _edits((_ABOUT, "A shelf of books", "A shelf"), (_ABOUT_TESTS, "A shelf of books", "A shelf"))
    ),
    "the page is empty": Miss(("listed",), _edits((_LIST, "{% if rows %}", "{% if rows and false %}"))),
    "the page has no button": Miss(("added",), _edits((_LIST, "<button>Add</button>", ""))),
    "the page wants what is not there": Miss(
        ("listed", "added"), _edits((_LIST, "<h2>Add</h2>", '<img src="/logo.png" alt=""><h2>Add</h2>'))
    ),
    "a title may be left out": Miss(
        ("required",),
        _all(
            _edits(
                (
                    "services/backend/models/book.py",
                    "class BookInput(SQLModel):\n    title: fields.String",
                    'class BookInput(SQLModel):\n    title: fields.String = ""',
                ),
                (_BOOK_TESTS, 'REQUIRED: list[str] = [\n    "title",', "REQUIRED: list[str] = ["),
                (_PAGE_TESTS, 'REQUIRED: list[str] = [\n    "title",', "REQUIRED: list[str] = ["),
            )
        ),
    ),
    "a restart loses the books": Miss(
        ("kept",),
        _edits(
            (
                "services/backend/__main__.py",
                "    engine = database.engine",
                "    (settings.data_dir / database.FILE_NAME).unlink(missing_ok=True)\n    engine = database.engine",
            )
        ),
        dropped=True,
    ),
    "everybody sees the operator's numbers": Miss(
        ("operator",),
        _edits(
            ("services/backend/routes/admin.py", "if not settings.admin_token or not hmac", "if sent and not hmac"),
            (
                "tests/backend/test_service.py",
                '    assert client.get("/admin/status").status_code == 401\n',
                "",
            ),
        ),
        dropped=True,
    ),
    "it does not start with the settings that it is given": Miss(
        tuple(STEPS),
        _edits(
            (
                "services/backend/settings.py",
                'if self.app_env == "production" and not self.admin_token:',
                'if self.app_env == "production" and len(self.admin_token) < 64:',
            )
        ),
    ),
}
RIGHT: Mapping[str, Change] = {
    "as it was wished": _UNDELETED,
    "with more than was wished": _all(
        _UNDELETED,
        _edits(
            (_ABOUT, "A shelf of books", "A shelf of books and more"), (_ABOUT_TESTS, "of books", "of books and more")
        ),
    ),
}


def built(folder: Path) -> Files:
    """What the script makes of the part of the wish that it understands, in a generated project."""
    return built_from(folder, ASKED_OF_AGENT, "backend,web,tg_bot")


def built_from(folder: Path, wish: str, modules: str) -> Files:
    """What the script makes of a wish, in a generated project."""
    project = repository(folder / "project", modules)
    (project / "TASK.md").write_text(f"# Task\n\n{wish}\n\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CLAUDE_CONFIG_DIR": str(folder / "config"),
        "ORCHESTRATOR_OUTCOME": str(folder / "outcome.json"),
    }
    argv = [sys.executable, "-I", "-S", str(AGENT), "-p", "Do it", "--output-format", "stream-json", "--verbose"]
    subprocess.run(argv, cwd=project, env=environment, capture_output=True, check=True, timeout=60)
    return {path: (project / path).read_text() for path in git(project, "ls-files").splitlines()}


def changed(files: Mapping[str, str], change: Change) -> Files:
    """A commit's files."""
    new = dict(files)
    change(new)
    return new


def missing(files: Mapping[str, str], miss: Miss) -> Files:
    """The right commit, but for one point."""
    return changed(files, miss.change if "undeleted" in miss.criteria else _all(_UNDELETED, miss.change))
