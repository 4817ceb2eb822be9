"""The Agent Client Protocol, by its official SDK: a session, prompts in it, and what the agent asks meanwhile.

The SDK's connection is used and its models are not: they refuse what several agents send.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from acp.connection import Connection
from acp.exceptions import RequestError
from acp.meta import AGENT_METHODS, CLIENT_METHODS, PROTOCOL_VERSION

from .ended import NOT_STARTED, SESSION_UNKNOWN, Ended, TurnFailed, exit_reason, failure
from .events import Events, bounded
from .job import Job
from .processes import AgentProcess
from .updates import Updates, list_of, object_of, usage_facts

_ALLOWED = ("allow_always", "allow_once")
_NO_ABILITIES = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
_WORKED_OFF = {"end_turn"}
_MAX_GARBAGE = 50


@dataclass
class AgentTransport:
    """The agent's pipes as messages: what is no message is written down, and passed over."""

    process: AgentProcess
    events: Events
    garbage: int = 0

    async def send(self, message: dict[str, Any]) -> None:
        await self.process.send(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    async def receive(self) -> dict[str, Any] | None:
        while (line := await self.process.lines.next()) is not None:
            message = _message(line)
            if message is not None:
                return message
            if line.strip():
                self._no_message(line)
        return None

    async def close(self) -> None:
        """The process is ended by who started it."""

    def _no_message(self, line: bytes) -> None:
        self.garbage += 1
        if self.garbage <= _MAX_GARBAGE:
            self.events.note("log", message=bounded(line[:2_000].decode(errors="replace"), 600))


@dataclass
class AcpRunner:
    """One session of one agent, which lives from `open` to `close`."""

    job: Job
    events: Events
    process: AgentProcess
    session_id: str = ""
    _abilities: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._updates = Updates(self.events)
        transport = AgentTransport(self.process, self.events)
        self._connection = Connection(self._asked, transport)

    async def open(self) -> None:
        """A session that is ready for a prompt, written down. Raises TurnFailed."""
        try:
            reply = await self._call(
                AGENT_METHODS["initialize"], protocolVersion=PROTOCOL_VERSION, clientCapabilities=_NO_ABILITIES
            )
            self._abilities = object_of(object_of(reply).get("agentCapabilities"))
            resumed = self.job.session_id is not None
            self.session_id = await self._resumed() if resumed else await self._new()
            self.events.note("session", session_id=self.session_id, resumed=resumed)
            await self._set_up()
        except RequestError as error:
            message = _said(error)
            raise TurnFailed(failure(message, NOT_STARTED), message) from error
        except ConnectionError as error:
            raise TurnFailed(NOT_STARTED, await self._why_it_ended()) from error

    async def prompt(self, text: str) -> Ended:
        """Have one prompt worked off, to its end."""
        prompt = [{"type": "text", "text": text}]
        try:
            reply = object_of(
                await self._call(AGENT_METHODS["session_prompt"], sessionId=self.session_id, prompt=prompt)
            )
        except RequestError as error:
            message = _said(error)
            return Ended(failure(message), message)
        except ConnectionError:
            code = await self.process.wait()
            return Ended(exit_reason(code), f"The agent ended with exit code {code}. {self.process.said_last}".strip())
        stop = str(reply.get("stopReason", ""))[:40]
        reason = None if stop in _WORKED_OFF or stop == "cancelled" else failure(stop)
        message = "" if reason is None else f"The agent stopped: {stop or 'no reason given'}."
        return Ended(reason, message, stop, interrupted=stop == "cancelled", usage=usage_facts(reply))

    async def interrupt(self) -> None:
        """Ask for the end of the running prompt."""
        try:
            await self._connection.send_notification(AGENT_METHODS["session_cancel"], {"sessionId": self.session_id})
        except ConnectionError:
            return  # it has ended, as the prompt says

    async def close(self) -> None:
        await self._connection.close()
        await self.process.end()

    async def _new(self) -> str:
        reply = await self._call(AGENT_METHODS["session_new"], cwd=self.job.workspace, mcpServers=[])
        session_id = object_of(reply).get("sessionId")
        if not isinstance(session_id, str) or not 0 < len(session_id) <= 200:
            raise TurnFailed(NOT_STARTED, "The agent gave no usable session id.")
        return session_id

    async def _resumed(self) -> str:
        session_id = self.job.session_id or ""
        can_resume = object_of(self._abilities.get("sessionCapabilities")).get("resume") is not None
        method = AGENT_METHODS["session_resume" if can_resume else "session_load"]
        self._updates.muted = True
        try:
            await self._call(method, sessionId=session_id, cwd=self.job.workspace, mcpServers=[])
        except RequestError as error:
            # Agents have no common word for it; a session that cannot be had is unknown, whatever they call it.
            raise TurnFailed(SESSION_UNKNOWN, _said(error)) from error
        finally:
            self._updates.muted = False
        return session_id

    async def _set_up(self) -> None:
        if self.job.mode is not None:
            await self._call(AGENT_METHODS["session_set_mode"], sessionId=self.session_id, modeId=self.job.mode)
        for name, value in self.job.options:
            method = AGENT_METHODS["session_set_config_option"]
            await self._call(method, sessionId=self.session_id, configId=name, value=value)

    async def _call(self, method: str, **params: object) -> object:
        reply: object = await self._connection.send_request(method, params)
        self.events.alive()
        return reply

    async def _asked(self, method: str, params: Any, is_notification: bool) -> dict[str, Any] | None:  # noqa: ANN401 - the SDK's type
        if method == CLIENT_METHODS["session_update"]:
            self._updates.take(params)
            return None
        if method == CLIENT_METHODS["session_request_permission"]:
            return self._allow(object_of(params))
        if is_notification:
            return None
        raise RequestError.method_not_found(method)

    def _allow(self, params: dict[str, Any]) -> dict[str, Any]:
        """Everything is allowed: the container is the border."""
        options = [object_of(one) for one in list_of(params.get("options"))]
        wanted = [one for kind in _ALLOWED for one in options if one.get("kind") == kind]
        title = str(object_of(params.get("toolCall")).get("title") or "")
        self.events.update("permission", title, allowed=bool(wanted))
        if not wanted:
            return {"outcome": {"outcome": "cancelled"}}
        return {"outcome": {"outcome": "selected", "optionId": wanted[0].get("optionId")}}

    async def _why_it_ended(self) -> str:
        code = await self.process.end(0.5)
        return f"The agent ended before it had a session, with exit code {code}. {self.process.said_last}".strip()


def _message(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(value, dict) and (isinstance(value.get("method"), str) or "id" in value)
    return value if known and isinstance(value.get("id", 0), int | str) else None


def _said(error: RequestError) -> str:
    """The error with its details, which are where agents say what the model answered."""
    details = "" if error.data is None else f" {json.dumps(error.data)}"
    return bounded(f"{error}{details}", 2_000)
