"""Which of the agent's own tools does something, and what it calls its arguments."""

import json
import re
import shlex
from collections.abc import Iterable
from pathlib import PurePosixPath

from emulators.model.exchange import Asked, Call, Json, Tool

# In order of preference; compared without case and separators.
_SHELLS = ("bash", "execute", "execcommand", "shellcommand", "shell", "localshell", "runshellcommand", "terminal")
_WRITERS = ("write", "create", "writefile", "createfile")

_COMMANDS = ("command", "cmd", "script")
_PATHS = ("file_path", "filePath", "path", "absolute_path", "filename")
_CONTENTS = ("content", "contents", "file_text", "text")

# So that a long command is over before the next step.
_PATIENCE = {"timeout": 600_000, "yield_time_ms": 30_000}

# Codex's models write programs that call its tools. A command that runs for longer than a call waits goes on.
_PROGRAM = """// @exec: {{"yield_time_ms": 600000}}
let done = await tools.exec_command({{cmd: {command}, yield_time_ms: 30000}});
text(done.output);
while (done.session_id !== undefined && done.exit_code === undefined) {{
  done = await tools.write_stdin({{session_id: done.session_id, chars: "", yield_time_ms: 30000}});
  text(done.output);
}}
"""

# How agents tell the model where they work.
_FOLDER = re.compile(r"(?:[Ww]orking directory(?: is)?:|<cwd>|Current folder:|% pwd\s)\s*(/[^\s<]*)")


class NoSuchTool(Exception):
    """The agent offers no tool for a step."""


def run(asked: Asked, command: str) -> Call:
    """A call that runs `command` in the agent's shell."""
    tool = _named(asked.tools, _SHELLS)
    if tool is None:
        tool = next((one for one in asked.tools if (one.form, one.name) == ("custom", "exec")), None)
        if tool is not None:
            return Call(tool, {"input": _PROGRAM.format(command=json.dumps(command))})
        raise NoSuchTool(f"no tool runs a command; offered: {_names(asked)}")
    if tool.form == "local_shell":
        return Call(tool, {"command": ["bash", "-lc", command]})
    name = _first(tool, _COMMANDS) or "command"
    is_list = tool.properties.get(name, {}).get("type") == "array"
    patience = {name: value for name, value in _PATIENCE.items() if name in tool.properties}
    return _filled(tool, {name: ["bash", "-lc", command] if is_list else command} | patience)


def write(asked: Asked, path: str, content: str) -> Call:
    """A call that writes a file: by the agent's tool for it, or else by its shell."""
    tool = _named(asked.tools, _WRITERS)
    if tool is None or not (name := _first(tool, _PATHS)) or not (body := _first(tool, _CONTENTS)):
        folder = shlex.quote(str(PurePosixPath(path).parent))
        return run(asked, f"mkdir -p {folder} && printf %s {shlex.quote(content)} > {shlex.quote(path)}")
    return _filled(tool, {name: _absolute(asked, path), body: content})


def unknown() -> Call:
    """A call of a tool that no agent has."""
    return Call(Tool("NoSuchTool"), {"reason": "the scenario asks for a tool that does not exist"})


def _absolute(asked: Asked, path: str) -> str:
    said = "\n".join((asked.system, *(entry.text for entry in asked.entries)))
    found = _FOLDER.search(said)
    return str(PurePosixPath(found.group(1)) / path) if found else path


def _filled(tool: Tool, arguments: Json) -> Call:
    """The call with something valid for every other argument that the tool requires."""
    required = tool.parameters.get("required")
    names = required if isinstance(required, list) else []
    missing = {name: _any(tool.properties.get(name)) for name in names if name not in arguments}
    return Call(tool, arguments | missing)


def _any(schema: object) -> object:
    """A value that fits a schema: its default, its first choice, or the simplest of its type."""
    if not isinstance(schema, dict):
        return "scripted"
    if "default" in schema:
        return schema["default"]
    if isinstance(choices := schema.get("enum"), list) and choices:
        return choices[0]
    if isinstance(choices := schema.get("anyOf"), list) and choices:
        return _any(choices[0])
    simplest: dict[str, object] = {"boolean": False, "integer": 60, "number": 60, "array": [], "object": {}}
    return simplest.get(str(schema.get("type")), "Scripted step")


def _named(tools: Iterable[Tool], wanted: tuple[str, ...]) -> Tool | None:
    by_name = {re.sub(r"[^a-z]", "", tool.name.lower()): tool for tool in reversed(list(tools))}
    return next((by_name[name] for name in wanted if name in by_name), None)


def _first(tool: Tool, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in tool.properties), None)


def _names(asked: Asked) -> str:
    return ", ".join(tool.name for tool in asked.tools) or "none"
