"""Code of a bot command: handler and test."""

import keyword
from collections.abc import Iterable

from ..reading.wish import Command
from .workspace import Workspace

HANDLER = '''"""Answers /{command}."""

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import Message

COMMAND = "{command}"
DESCRIPTION = "{description}"
LINES = [
{lines}
]

router = Router(name=COMMAND)


@router.message(Command(COMMAND))
async def answer(message: Message) -> None:
    await message.answer("\\n".join(LINES))
'''

TEST = """from tests.tg_bot.conversation import Conversation

EXPECTED = [
{lines}
]


async def test_the_command_is_answered(conversation: Conversation) -> None:
    assert await conversation.send("/{command}") == ["\\n".join(EXPECTED)]
"""
LISTED = """

async def test_help_lists_the_command(conversation: Conversation) -> None:
    [text] = await conversation.send("/help")
    assert "/{command} - " in text
"""
OWN_FILES = frozenset({"unknown"})
DESCRIPTIONS = {"start": "says hello", "help": "shows help"}

TESTS = "tests/tg_bot"
TEMPLATE_TEST = f"{TESTS}/test_bot.py"
# The template's own tests ask that /start mentions /help, and that /help lists all commands.
_START = ('send("/start")\n    assert "/help" in text\n', 'send("/start")\n    assert text\n')
_HELP = (
    """    for module in handlers.modules():
        if hasattr(module, "COMMAND"):
            assert f"/{module.COMMAND} - " in text
""",
    """    assert text
    assert handlers.modules()
""",
)


def files(workspace: Workspace, wanted: Iterable[Command]) -> dict[str, str]:
    """Paths in the project and their whole content. A person's own /start and /help replace those of the template."""
    commands = list(wanted)
    own_help = any(one.name == "help" for one in commands) or _has_own_help(workspace)
    found: dict[str, str] = {}
    for one in commands:
        found |= _files(one, listed=not own_help and one.name != "start")
    if own_help:
        found |= _unlisted(workspace, found)
    template = workspace.read(TEMPLATE_TEST) or ""
    changed = template.replace(*_START) if any(one.name == "start" for one in commands) else template
    changed = changed.replace(*_HELP) if own_help else changed
    return found if changed == template else {**found, TEMPLATE_TEST: changed}


def paths(name: str) -> tuple[str, str]:
    """The files of a command: its handler and its test."""
    module = _module(name)
    return f"services/tg_bot/handlers/{module}.py", f"{TESTS}/test_{module}_command.py"


def handler(command: Command) -> str:
    """The content of its first file."""
    description = DESCRIPTIONS.get(command.name, "answers with a text")
    return HANDLER.format(command=command.name, lines=_lines(command), description=description)


def _files(command: Command, *, listed: bool) -> dict[str, str]:
    path, test = paths(command.name)
    text = (TEST + LISTED if listed else TEST).format(command=command.name, lines=_lines(command))
    return {path: handler(command), test: text}


def _lines(command: Command) -> str:
    return "\n".join(f"    {literal(line)}," for line in command.reply.splitlines())


def _has_own_help(workspace: Workspace) -> bool:
    return workspace.read(paths("help")[1]) is not None


def _unlisted(workspace: Workspace, written: dict[str, str]) -> dict[str, str]:
    """Tests of earlier commands without what they ask of /help."""
    found: dict[str, str] = {}
    for path in workspace.committed_files(TESTS):
        name = path.removeprefix(f"{TESTS}/test_").removesuffix("_command.py")
        before = workspace.read(path) or ""
        after = before.replace(LISTED.format(command=name.removeprefix("command_")), "")
        if path not in written and after != before:
            found[path] = after
    return found


def _module(name: str) -> str:
    usable = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
    return name if usable and name not in OWN_FILES else f"command_{name}"


def literal(text: str) -> str:
    """A Python string in the quotes that the project's formatter would choose."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    plain = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    shown = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in plain)
    return f"{quote}{shown}{quote}"
