"""Code of a bot command: handler and test."""

import keyword

from .wish import Command

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


async def test_help_lists_the_command(conversation: Conversation) -> None:
    [text] = await conversation.send("/help")
    assert "/{command} - " in text
"""
OWN_FILES = frozenset({"unknown", "help"})
DESCRIPTIONS = {"start": "says hello"}


def files(command: Command) -> dict[str, str]:
    """Paths in the project and their whole content."""
    module = _module(command.name)
    lines = "\n".join(f"    {literal(line)}," for line in command.reply.splitlines())
    description = DESCRIPTIONS.get(command.name, "answers with a text")
    handler = HANDLER.format(command=command.name, lines=lines, description=description)
    test = TEST.format(command=command.name, lines=lines)
    found = {f"services/tg_bot/handlers/{module}.py": handler}
    # /start is tested by the template, which asks it to mention /help.
    return found if command.name == "start" else {**found, f"tests/tg_bot/test_{module}_command.py": test}


def _module(name: str) -> str:
    usable = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
    return name if usable and name not in OWN_FILES else f"command_{name}"


def literal(text: str) -> str:
    """A Python string in the quotes that the project's formatter would choose."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    plain = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    shown = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in plain)
    return f"{quote}{shown}{quote}"
