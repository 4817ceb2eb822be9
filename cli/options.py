"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, or one per line for streams.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow the work to its end.")]
ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="Id or name of a project.")]
ProjectOption = Annotated[str, typer.Option("--project", "-p", metavar="PROJECT", help="Id or name of a project.")]
AnyProject = Annotated[
    str | None, typer.Option("--project", "-p", metavar="PROJECT", help="Only this project (id or name).")
]
TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="Id of a task.")]
QuestionArgument = Annotated[str, typer.Argument(metavar="QUESTION", help="Id of a question.")]
SpecFile = Annotated[
    Path | None, typer.Option("--spec", metavar="FILE", help="A ProjectSpec as a JSON file, or '-' for standard input.")
]
ValueFile = Annotated[Path | None, typer.Option("--value-file", metavar="FILE", help="Read the value from this file.")]
RequestId = Annotated[
    str | None,
    typer.Option("--request-id", metavar="ID", help="Your own id: repeating it names the same task."),
]
