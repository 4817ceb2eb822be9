"""Every command that a message, a help text or a document names is there, with the options that it names."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

from cli.app import COMMANDS, Commands, app
from cli.inside import profiles
from tests.contract.test_import_rules import PACKAGES, ROOT

HOLE = "\N{REPLACEMENT CHARACTER}"
"""Stands for what a message fills in."""
NAMED = re.compile(rf"(?<![\w/.-])orchestrator((?: +(?:--)?[a-z{HOLE}][a-z{HOLE}-]*)+)")
QUOTED = re.compile(r"`((?:--)?[a-z-]+(?: [^`\n]*)?)`")
TARGET = re.compile(r"`make ([a-z][a-z-]*)")
MODULE = re.compile(rf"python -m (api|workers|bot)(?: ([a-z{HOLE}-]+))?")
PROSE = {"codegen", "the", "an", "of"}
"""Words after which "orchestrator" is a noun."""
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@cache
def tree() -> dict[tuple[str, ...], set[str]]:
    """Each command with its options."""
    root = typer.main.get_command(app)
    assert isinstance(root, Commands)
    found: dict[tuple[str, ...], set[str]] = {(): options(root)}
    for name in COMMANDS:
        root.open(name)
        command = root.commands[name]
        found[(name,)] = options(command)
        for below, one in getattr(command, "commands", {}).items():
            found[(name, below)] = options(one)
    # The same name inside of an agent's turn is a program of its own.
    for command, usage in profiles.COMMANDS["developer"].items():
        found.setdefault((command,), set()).update(re.findall(r"--[a-z-]+", usage))
    return found


def options(command: object) -> set[str]:
    opts = [name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)]  # type: ignore[attr-defined]  # Typer's commands have no public type
    return {name for name in opts if name.startswith("--")} | {"--help", "--json"}


def complaint(words: list[str]) -> str | None:
    """Why these words after `orchestrator` are no command; None if they are one."""
    known, command = tree(), tuple[str, ...]()
    if words == [HOLE]:
        # The name of the command that is running.
        return None
    for word in words:
        if word.startswith("--"):
            if HOLE not in word and word not in known[command]:
                return f"{' '.join(command)} has no option {word}"
        elif (*command, word) in known:
            command = (*command, word)
        elif not command or (len(command) == 1 and any(one[:1] == command and len(one) == 2 for one in known)):
            return f"there is no command {' '.join((*command, word))!r}"
        else:
            break
    return None


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a module, with a hole for each value that is filled in, and without docstrings."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    inner = {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else HOLE for part in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.lineno, node.value


def wrong(text: str, *, prose: bool = False, makefile: bool = True) -> list[str]:
    """What a text says of commands that are not there; `makefile`: also of targets of our own Makefile."""
    found = []
    for match in NAMED.finditer(text):
        before = text[: match.start()].split()[-1:] or [""]
        if before[0].strip("`*").lower() in PROSE or (prose and not _is_quoted(text, match.start())):
            continue
        found.append(complaint(match[1].split()))
    groups = {words[0] for words in tree() if len(words) == 2}
    for match in QUOTED.finditer(text):
        words = match[1].split()
        if words[0] in groups and len(words) > 1 and re.fullmatch(r"[a-z-]+", words[1]):
            found.append(complaint([word for word in words if re.fullmatch(r"(--)?[a-z-]+", word)]))
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = TARGET.findall(text) if makefile else []
    found += [f"there is no target {name!r}" for name in named if name not in targets]
    found += [
        f"python -m api knows no {word!r}"
        for module, word in MODULE.findall(text)
        if module == "api" and word and word not in {"serve", "migrate", "bootstrap", "rotate-vault-key"}
    ]
    return [one for one in found if one]


def _is_quoted(text: str, place: int) -> bool:
    return text[:place].endswith(("`", "/bin/", "    ", "\n"))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_message_names_a_command_that_does_not_exist(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {problem}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, text in texts(path)
        # Activities speak of the Makefile of a generated project.
        for problem in wrong(text, makefile=package != "activities")
    ]
    assert found == []


@pytest.mark.parametrize("language", ["en", "ru"])
def test_no_text_of_the_bot_names_a_command_that_does_not_exist(language: str) -> None:
    text = (ROOT / "bot" / "texts" / f"{language}.ftl").read_text(encoding="utf-8")
    named = re.findall(r"<code>orchestrator ([^<]+)</code>", text)
    assert named
    filled = [re.sub(r"\{[^}]*\}", HOLE, one).split() for one in named]
    assert [found for words in filled if (found := complaint(words))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.name))
def test_no_document_names_a_command_that_does_not_exist(document: Path) -> None:
    lines = document.read_text(encoding="utf-8").splitlines()
    own = document.name != "template.md"
    found = [f"{line}: {one}" for line, text in enumerate(lines, 1) for one in wrong(text, prose=True, makefile=own)]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "Next: orchestrator project restore notes",
        "`orchestrator request list` shows the ids",
        f"`orchestrator {HOLE} list` shows the ids",
        "orchestrator up --port 5",
        "until `deploy halt`",
        "run `make everything`",
        "run `python -m api upgrade`",
    ],
)
def test_a_command_that_is_not_there_is_seen(text: str) -> None:
    assert wrong(text)


@pytest.mark.parametrize(
    "text",
    [
        "The codegen orchestrator is here",
        "Next: orchestrator task watch dlv-1",
        f"orchestrator up --port-base {HOLE}",
        "`orchestrator up --detach`, or `python -m workers agents`",
        'orchestrator demo "A notes service"',
    ],
)
def test_what_is_there_is_no_complaint(text: str) -> None:
    assert wrong(text) == []


def test_advice_on_the_screen_is_a_full_command() -> None:
    """`advise` adds the path of the program and the home; `say` prints a command that may only run elsewhere."""
    said = re.compile(r"\.say\(\s*f?[\"'](?:[^\"'\n]*`|Next: |  )?orchestrator [a-z]")
    found = [
        str(path.relative_to(ROOT)) for path in sorted((ROOT / "cli").rglob("*.py")) if said.search(path.read_text())
    ]
    assert found in ([], ["cli/host/lock.py"])
