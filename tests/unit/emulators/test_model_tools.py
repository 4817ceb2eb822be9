"""Every agent gets calls of its own tools, with the arguments that it requires."""

import pytest

from emulators.model import tools
from emulators.model.exchange import Tool
from tests.unit.emulators.model_requests import CLAUDE, CODEX, CODEX_LIST, CODEX_PROGRAMS, DROID, OPENCODE, asked


@pytest.mark.parametrize(
    ("offered", "name", "arguments"),
    [
        (CLAUDE, "Bash", {"command": "ls", "timeout": 600_000}),
        (DROID, "Execute", {"command": "ls", "riskLevel": "low"}),
        (OPENCODE, "bash", {"command": "ls", "description": "Scripted step"}),
        (CODEX, "exec_command", {"cmd": "ls", "yield_time_ms": 30_000}),
        (CODEX_LIST, "shell", {"command": ["bash", "-lc", "ls"]}),
        ((Tool("local_shell", form="local_shell"),), "local_shell", {"command": ["bash", "-lc", "ls"]}),
    ],
)
def test_a_command_goes_to_the_agents_own_shell(
    offered: tuple[Tool, ...], name: str, arguments: dict[str, object]
) -> None:
    call = tools.run(asked("go", tools=offered), "ls")
    assert (call.tool.name, call.arguments) == (name, arguments)


def test_a_model_of_codex_writes_a_program_that_waits_for_its_command() -> None:
    call = tools.run(asked("go", tools=CODEX_PROGRAMS), 'echo "hi"')
    assert call.tool.namespace == "functions"
    assert 'tools.exec_command({cmd: "echo \\"hi\\"", yield_time_ms: 30000})' in call.arguments["input"]
    assert "write_stdin" in call.arguments["input"]


@pytest.mark.parametrize(
    ("offered", "name", "path"),
    [(CLAUDE, "Write", "file_path"), (DROID, "Create", "file_path"), (OPENCODE, "write", "filePath")],
)
def test_a_file_is_written_with_the_agents_own_tool(offered: tuple[Tool, ...], name: str, path: str) -> None:
    call = tools.write(asked("go", tools=offered), "a.txt", "A")
    assert (call.tool.name, call.arguments) == (name, {path: "a.txt", "content": "A"})


def test_the_path_is_absolute_where_the_agent_says_where_it_works() -> None:
    call = tools.write(asked("go", system="env\nPrimary working directory: /w/here\n"), "a.txt", "A")
    assert call.arguments["file_path"] == "/w/here/a.txt"


def test_an_agent_without_such_a_tool_writes_by_its_shell() -> None:
    call = tools.write(asked("go", tools=CODEX), "a/b.txt", "it's")
    assert call.arguments["cmd"] == "mkdir -p a && printf %s 'it'\"'\"'s' > a/b.txt"


def test_without_a_tool_the_scenario_cannot_be_played() -> None:
    with pytest.raises(tools.NoSuchTool, match="offered: Read"):
        tools.run(asked("go", tools=[Tool("Read")]), "ls")
