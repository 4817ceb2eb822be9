"""The stream of JSON lines that a CLI agent writes, and its three output formats."""

import json
import sys
import time
from typing import Any, Literal, TextIO

OutputFormat = Literal["text", "json", "stream-json"]
TOOLS = ["Read", "Write", "Bash"]


class Stream:
    """Writes events in `stream-json` and only the result in the other formats."""

    def __init__(self, session_id: str, cwd: str, output: OutputFormat, out: TextIO | None = None) -> None:
        self.session_id = session_id
        self.cwd = cwd
        self.output = output
        self.out = out or sys.stdout
        self.started = time.monotonic()
        self.turns = 0
        self.calls = 0

    def start(self) -> None:
        self._event(
            {"type": "system", "subtype": "init", "cwd": self.cwd, "tools": TOOLS, "mcp_servers": []}
            | {"model": "scripted", "permissionMode": "default"}
        )

    def say(self, text: str) -> None:
        self._assistant({"type": "text", "text": text})

    def use(self, tool: str, arguments: dict[str, Any], result: str) -> None:
        """A finished tool call and its result."""
        self.calls += 1
        call_id = f"toolu_{self.calls:04d}"
        self._assistant({"type": "tool_use", "id": call_id, "name": tool, "input": arguments})
        content = [{"type": "tool_result", "tool_use_id": call_id, "content": result}]
        self._event({"type": "user", "message": {"role": "user", "content": content}})

    def finish(self, text: str, failed: bool) -> None:
        result = {
            "type": "result",
            "subtype": "error_during_execution" if failed else "success",
            "is_error": failed,
            "duration_ms": round((time.monotonic() - self.started) * 1000),
            "num_turns": self.turns,
            "result": text,
            "total_cost_usd": 0.0,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        if self.output == "text":
            self._line(text)
        elif self.output == "json":
            self._line(json.dumps({**result, "session_id": self.session_id}, ensure_ascii=False))
        else:
            self._event(result)

    def _assistant(self, block: dict[str, Any]) -> None:
        self.turns += 1
        message = {"role": "assistant", "model": "scripted", "content": [block]}
        usage = {"input_tokens": 0, "output_tokens": 0}
        self._event({"type": "assistant", "message": {**message, "usage": usage}})

    def _event(self, event: dict[str, Any]) -> None:
        if self.output == "stream-json":
            self._line(json.dumps({**event, "session_id": self.session_id}, ensure_ascii=False))

    def _line(self, text: str) -> None:
        self.out.write(f"{text}\n")
        self.out.flush()
