"""The Agent Client Protocol as a second command, `--acp`: each prompt is a run of the first one.

Its SDK is not of the standard library, and only imported here.
"""

import asyncio
import json
import os
import sys
from asyncio import subprocess
from pathlib import Path
from typing import Any

from acp import Agent, run_agent, text_block, update_agent_message
from acp.exceptions import RequestError
from acp.helpers import start_tool_call, update_tool_call
from acp.schema import (
    AgentCapabilities,
    InitializeResponse,
    NewSessionResponse,
    PromptResponse,
    ResumeSessionResponse,
    SessionCapabilities,
    SessionResumeCapabilities,
)

from .sessions import Sessions

PROGRAM = Path(__file__).resolve().parents[1]
_LINE = 16 * 1024 * 1024


class ProtocolAgent(Agent):
    """Sessions are those of the first command: one begun here goes on there, and the other way round."""

    def __init__(self) -> None:
        self._client: Any = None
        self._sessions = Sessions.from_env()
        self._folders: dict[str, str] = {}
        self._running: dict[str, subprocess.Process] = {}
        self._cancelled: set[str] = set()

    def on_connect(self, conn: Any) -> None:  # noqa: ANN401 - as in the SDK's example: one object, many methods
        self._client = conn

    async def initialize(self, protocol_version: int, **_: object) -> InitializeResponse:
        resume = SessionCapabilities(resume=SessionResumeCapabilities())
        abilities = AgentCapabilities(session_capabilities=resume)
        return InitializeResponse(protocol_version=protocol_version, agent_capabilities=abilities)

    async def new_session(self, cwd: str, **_: object) -> NewSessionResponse:
        session = self._sessions.create()
        self._folders[session.id] = cwd
        return NewSessionResponse(session_id=session.id)

    async def resume_session(self, session_id: str, cwd: str, **_: object) -> ResumeSessionResponse:
        if self._sessions.load(session_id) is None:
            raise RequestError.resource_not_found(session_id)
        self._folders[session_id] = cwd
        return ResumeSessionResponse()

    async def set_session_mode(self, **_: object) -> None:
        """It asks for no permission in any mode."""

    async def prompt(self, prompt: list[Any], session_id: str, **_: object) -> PromptResponse:
        """Raises RequestError for a turn that failed, with what went wrong."""
        if session_id not in self._folders:
            raise RequestError.resource_not_found(session_id)
        self._cancelled.discard(session_id)
        process = await self._started(session_id)
        self._running[session_id] = process
        text = "\n".join(block.text for block in prompt if getattr(block, "text", None))
        result, _ = await asyncio.gather(self._shown(session_id, process), _told(process, text))
        code = await process.wait()
        if session_id in self._cancelled:
            return PromptResponse(stop_reason="cancelled")
        if code != 0:
            raise RequestError.internal_error({"details": result or f"It ended with exit code {code}."})
        return PromptResponse(stop_reason="end_turn")

    async def cancel(self, session_id: str, **_: object) -> None:
        self._cancelled.add(session_id)
        process = self._running.get(session_id)
        if process is not None and process.returncode is None:
            process.terminate()

    async def _started(self, session_id: str) -> subprocess.Process:
        skip = ["--dangerously-skip-permissions"] if os.geteuid() != 0 else []
        return await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), "-p", "--output-format", "stream-json", "--verbose", *skip,
            "--resume", session_id, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self._folders[session_id],
            limit=_LINE,
        )  # fmt: skip

    async def _shown(self, session_id: str, process: subprocess.Process) -> str:
        """Send what the run prints as updates; its result."""
        result = ""
        assert process.stdout is not None, "asked for above"
        async for line in process.stdout:
            event = json.loads(line)
            if event["type"] == "result":
                result = event["result"]
            for block in event.get("message", {}).get("content", []):
                update = _update(block)
                if update is not None:
                    await self._client.session_update(session_id, update)
        return str(result)


def _update(block: dict[str, Any]) -> Any:  # noqa: ANN401 - one of the SDK's kinds of update
    if block["type"] == "text":
        return update_agent_message(text_block(f"{block['text']}\n"))
    if block["type"] == "tool_use":
        name, arguments = block["name"], block["input"]
        detail = arguments.get("file_path") or arguments.get("command") or ""
        return start_tool_call(block["id"], f"{name} {detail}".strip(), raw_input=arguments)
    if block["type"] == "tool_result":
        return update_tool_call(block["tool_use_id"], status="completed", raw_output=block["content"])
    return None


async def _told(process: subprocess.Process, prompt: str) -> None:
    assert process.stdin is not None, "asked for above"
    process.stdin.write(prompt.encode())
    process.stdin.close()


def main() -> int:
    asyncio.run(run_agent(ProtocolAgent(), use_unstable_protocol=True))
    return 0
