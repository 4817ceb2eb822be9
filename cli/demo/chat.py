"""`orchestrator demo --chat`: the real bot against the real platform, with an emulator in Telegram's place."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import BinaryIO

from cli.client.session import connected
from cli.demo.chat_line import ChatLine
from cli.demo.chat_script import follow_script
from cli.host.parts import Parts
from cli.host.processes import Command
from cli.host.up import bring_up
from cli.terminal.exits import ExitCode
from cli.terminal.output import Output
from contracts.errors import ErrorCode, OrchestratorError
from runtime.settings import Settings

EMULATOR_TOKEN = "424242:EMULATOR-token-of-no-real-bot-000"
_START_S = 30.0
_STOP_S = 10.0
_BOT_START_S = 120.0
_LOOK_S = 0.2
_BOT = "bot-of-demo"


async def run_chat(settings: Settings, sentence: str, language: str, out: Output) -> ExitCode:
    """Bring the platform up, put the emulator and a bot beside it, and let the person talk until they leave.

    At a terminal it is a window; otherwise each line of standard input is said, and it ends when all work has.
    """
    out.say("The platform", style="bold")
    await bring_up(settings, out, detach=True)
    parts = Parts(settings)
    async with _emulated(parts, out) as (url, bot), ChatLine(url, settings.admin_user_id, language) as line:
        out.document({"emulator": True, "url": url})
        await _wait_for_bot(parts, line, bot)
        if sentence:
            await line.say(sentence)
        if sys.stdin.isatty() and sys.stdout.isatty() and not out.as_json:
            return await _window(line)
        return await connected(lambda api: follow_script(api, line, out), settings)


async def _window(line: ChatLine) -> ExitCode:
    from cli.demo.chat_window import open_window  # slow to import, and only a person at a terminal has a window

    await open_window(line)
    return ExitCode.OK


@asynccontextmanager
async def _emulated(parts: Parts, out: Output) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The emulator and a bot of its own; both end with the block."""
    out.say()
    out.say("This is not Telegram, but an emulator of it on this machine.", style="bold")
    out.say("The bot, the platform and what they build are real. You are the administrator.")
    emulator = await _spawn(parts.module("emulators.telegram", "--token", EMULATOR_TOKEN), asyncio.subprocess.PIPE)
    bot: asyncio.subprocess.Process | None = None
    try:
        url = await _address(emulator)
        with parts.book.log_file(_BOT).open("ab") as log:
            bot = await _spawn(_bot(parts, url), asyncio.subprocess.DEVNULL, log)
        yield url, bot
    finally:
        for process in (bot, emulator):
            await _end(process)


def _bot(parts: Parts, url: str) -> Command:
    """A bot for the emulator, whatever the settings say about a real one."""
    command = parts.module("bot")
    env = {name: value for name, value in command.env.items() if not name.startswith("ORCHESTRATOR_BOT_")}
    bot = {"ORCHESTRATOR_BOT_TOKEN": EMULATOR_TOKEN, "ORCHESTRATOR_BOT_API_URL": url}
    return replace(command, env={**env, **bot})


async def _wait_for_bot(parts: Parts, line: ChatLine, bot: asyncio.subprocess.Process) -> None:
    deadline = asyncio.get_running_loop().time() + _BOT_START_S
    while not await line.has_bot():
        if bot.returncode is not None or asyncio.get_running_loop().time() > deadline:
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED,
                f"The bot did not start. Its log is {parts.book.log_file(_BOT)}:\n{parts.book.last_words(_BOT)}",
            )
        await asyncio.sleep(_LOOK_S)


async def _spawn(
    command: Command, stdout: int, stderr: int | BinaryIO = asyncio.subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    # A session of its own: Ctrl-C at the terminal ends the window first, and then these.
    return await asyncio.create_subprocess_exec(
        *command.argv,
        env=command.env,
        cwd=command.cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


async def _address(emulator: asyncio.subprocess.Process) -> str:
    assert emulator.stdout is not None
    try:
        async with asyncio.timeout(_START_S):
            line = await emulator.stdout.readline()
    except TimeoutError:
        line = b""
    if not line:
        raise OrchestratorError(ErrorCode.PROCESS_FAILED, "The emulator of Telegram did not start.")
    return line.decode().strip()


async def _end(process: asyncio.subprocess.Process | None) -> None:
    if process is None or process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
