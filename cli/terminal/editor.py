"""A person's own editor, on a text that is in no other file."""

import asyncio
import os
import shlex
import tempfile
from pathlib import Path

from contracts.errors import ErrorCode, OrchestratorError


async def edited(text: str, limit: int) -> str:
    """The text as a person leaves it in $VISUAL, else $EDITOR, else `vi`; at most `limit` bytes are read.

    Raises INVALID_INPUT if the editor cannot be started, says that it failed, or leaves no text.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="orchestrator-") as directory:
        file = Path(directory) / "MEMORY.md"
        file.write_text(text, encoding="utf-8")
        try:
            code = await (await asyncio.create_subprocess_exec(*command, str(file))).wait()
            left = file.read_bytes()[:limit].decode()
        except (OSError, UnicodeDecodeError) as error:
            raise _refused(f"{command[0] if command else 'The editor'} cannot be used: {error}") from None
    if code != 0:
        raise _refused(f"{command[0]} ended with {code}; nothing was changed.")
    return left


def _refused(reason: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.INVALID_INPUT, f"{reason} Choose another with $EDITOR, or use `set --file`.")
