"""An agent that speaks the Agent Client Protocol by the SDK's agent side: `python acp_agent.py`. The prompt says what
it does; its session is known again in another process with the same HOME.

    write PATH TEXT | say TEXT | allow | stall | deaf | crash | exit | garbage | huge | refuse TEXT | stop REASON
    | nothing
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from acp import Agent, run_agent, text_block, update_agent_message
from acp.exceptions import RequestError
from acp.helpers import start_tool_call, tool_diff_content
from acp.schema import (
    AgentCapabilities,
    InitializeResponse,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    ResumeSessionResponse,
    SessionCapabilities,
    SessionResumeCapabilities,
    ToolCallUpdate,
)

_SESSION = "session-1"


class ObedientAgent(Agent):
    """Does what the first word of a prompt says."""

    def __init__(self) -> None:
        self._client: Any = None
        self._cancelled = asyncio.Event()
        self._known = Path(os.environ["HOME"], "known-session")
        self.options: dict[str, str] = {}

    def on_connect(self, conn: Any) -> None:
        self._client = conn

    async def initialize(self, protocol_version: int, **_: Any) -> InitializeResponse:
        resume = SessionCapabilities(resume=SessionResumeCapabilities())
        return InitializeResponse(
            protocol_version=protocol_version, agent_capabilities=AgentCapabilities(session_capabilities=resume)
        )

    async def new_session(self, cwd: str, **_: Any) -> NewSessionResponse:
        self._known.touch()
        return NewSessionResponse(session_id=_SESSION)

    async def resume_session(self, session_id: str, **_: Any) -> ResumeSessionResponse:
        if session_id != _SESSION or not self._known.exists():
            raise RequestError.resource_not_found(session_id)
        return ResumeSessionResponse()

    async def set_session_mode(self, mode_id: str, **_: Any) -> None:
        self.options["mode"] = mode_id

    async def set_config_option(self, config_id: str, value: str | bool, **_: Any) -> Any:
        self.options[config_id] = str(value)
        return {}  # not what the SDK's model of it wants, as with a real agent

    async def prompt(self, prompt: list[Any], session_id: str, **_: Any) -> PromptResponse:
        self._cancelled.clear()
        word, _, rest = str(prompt[0].text).partition("\n\n")[2].partition(" ")
        reason = await getattr(self, f"_{word}")(session_id, rest)
        return PromptResponse(stop_reason=reason or "end_turn")

    async def cancel(self, session_id: str, **_: Any) -> None:
        self._cancelled.set()

    async def _say(self, session: str, text: str) -> None:
        for word in text.split(" "):
            await self._client.session_update(session, update_agent_message(text_block(f"{word} ")))

    async def _write(self, session: str, rest: str) -> None:
        path, _, text = rest.partition(" ")
        Path(path).write_text(text)
        diff = tool_diff_content(path, text, None)
        call = start_tool_call("call-1", f"Write {path}", kind="edit", content=[diff])
        await self._client.session_update(session, call)
        await self._say(session, f"{path} is written, mode {self.options}")

    async def _allow(self, session: str, _: str) -> None:
        options = [
            PermissionOption(option_id="no", name="No", kind="reject_once"),
            PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
        ]
        asked = ToolCallUpdate(tool_call_id="call-2", title="Delete everything")
        answer = await self._client.request_permission(session_id=session, tool_call=asked, options=options)
        await self._say(session, f"allowed: {answer.outcome.option_id}")

    async def _stall(self, session: str, _: str) -> str:
        await self._say(session, "waiting")
        await self._cancelled.wait()
        return "cancelled"

    async def _deaf(self, session: str, _: str) -> None:
        await self._say(session, "deaf")
        await asyncio.Event().wait()

    async def _crash(self, *_: str) -> None:
        sys.stderr.write("out of luck\n")
        sys.stderr.flush()
        os._exit(3)

    async def _exit(self, *_: str) -> None:
        os._exit(0)

    async def _garbage(self, session: str, _: str) -> None:
        for line in ("Warning: no message", "[]", '{"jsonrpc": "2.0", "id": [1]}', '{"id": 99, "result": {}}', "\x00"):
            os.write(1, line.encode() + b"\n")
        await self._say(session, "still here")

    async def _huge(self, session: str, _: str) -> None:
        await self._say(session, "x" * 1_000_000)
        await asyncio.sleep(0)  # what was said has gone out
        os.set_blocking(1, True)
        left = b"y" * 20_000_000 + b"\n"
        while left:
            left = left[os.write(1, left) :]
        os.set_blocking(1, False)
        await self._say(session, "after it")

    async def _refuse(self, _: str, text: str) -> None:
        raise RequestError.internal_error({"errorKind": text})

    async def _stop(self, _: str, reason: str) -> str:
        return reason

    async def _nothing(self, *_: str) -> None:
        """Ends well, and has done nothing: what agents do at a usage limit."""


if __name__ == "__main__":
    asyncio.run(run_agent(ObedientAgent(), use_unstable_protocol=True))
