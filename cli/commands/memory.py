"""`orchestrator project memory …`"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.client import session
from cli.client.projects import find_project
from cli.terminal import inputs
from cli.terminal.editor import edited
from cli.terminal.exits import EPILOG
from cli.terminal.options import AsJson, ProjectArgument, command_group
from cli.terminal.output import Output
from contracts.memory import MAX_MEMORY, MemoryEdit, ProjectMemory
from runtime.api_client import ApiClient

app = command_group()

_MAX_BYTES = 4 * MAX_MEMORY


@app.command(epilog=EPILOG)
def show(project: ProjectArgument, as_json: AsJson = False) -> None:
    """Print what agents know of a project: decisions, conventions, earlier failures."""

    async def work(api: ApiClient, out: Output) -> None:
        memory = await api.memory((await find_project(api, project)).id)
        out.document(memory)
        out.say(memory.text.rstrip() or "Nothing is remembered yet: the first task that is published begins it.")
        _tell_pending(memory, out)

    session.run(work, as_json=as_json)


@app.command("set", epilog=EPILOG)
def set_memory(
    project: ProjectArgument,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The new text; `-` is standard input.")],
    as_json: AsJson = False,
) -> None:
    """Replace what agents know of a project by a file."""
    read = sys.stdin.read(_MAX_BYTES) if str(file) == "-" else inputs.read_file(file, "The file", _MAX_BYTES)
    edit = inputs.build(MemoryEdit, text=inputs.text(read, "The memory", MAX_MEMORY))

    async def work(api: ApiClient, out: Output) -> None:
        memory = await api.edit_memory((await find_project(api, project)).id, edit)
        out.document(memory)
        _tell_pending(memory, out)

    session.run(work, as_json=as_json)


@app.command("edit", epilog=EPILOG)
def edit_memory(project: ProjectArgument, as_json: AsJson = False) -> None:
    """Edit what agents know of a project in your editor ($VISUAL or $EDITOR)."""

    async def work(api: ApiClient, out: Output) -> None:
        project_id = (await find_project(api, project)).id
        known = await api.memory(project_id)
        text = inputs.text(await edited(known.text, _MAX_BYTES), "The memory", MAX_MEMORY)
        if text == known.text:
            out.document(known)
            out.say("Nothing was changed.")
            return
        memory = await api.edit_memory(project_id, MemoryEdit(text=text, revision=known.revision))
        out.document(memory)
        _tell_pending(memory, out)

    session.run(work, as_json=as_json)


def _tell_pending(memory: ProjectMemory, out: Output) -> None:
    if memory.pending:
        out.advise("What is new in it is committed to the repository, as MEMORY.md, when the next task begins.")
