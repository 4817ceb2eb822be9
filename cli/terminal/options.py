"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from cli.terminal.exits import EPILOG
from contracts.states import AgentKind

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: one document, or one per line for a stream.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Show progress until the work ends.")]
ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="Name or id of the project.")]
ProjectOption = Annotated[str, typer.Option("--project", "-p", metavar="PROJECT", help="Name or id of the project.")]
AnyProject = Annotated[
    str | None, typer.Option("--project", "-p", metavar="PROJECT", help="Only this project (name or id).")
]
TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="Id of the task.")]
QuestionArgument = Annotated[str, typer.Argument(metavar="QUESTION", help="Id of the question.")]
SpecFile = Annotated[
    Path | None, typer.Option("--spec", metavar="FILE", help="JSON file with a ProjectSpec; - reads standard input.")
]
ValueFile = Annotated[
    Path | None,
    typer.Option("--value-file", metavar="FILE", help="Read the secret's value from this file, byte for byte."),
]
RequestId = Annotated[
    str | None,
    typer.Option("--request-id", metavar="ID", help="Your own id. Using it again returns the same task."),
]
Wish = Annotated[str, typer.Argument(metavar="DESCRIPTION", help="What the software should do, in a sentence.")]
Title = Annotated[str | None, typer.Option(help="A short title, shown in lists.")]
Agent = Annotated[AgentKind | None, typer.Option(help="The agent that writes the code.")]
Rounds = Annotated[
    int | None,
    typer.Option("--max-rounds", min=1, max=10, help="How many attempts the agent has before you are asked."),
]
Approval = Annotated[
    bool | None,
    typer.Option("--approve/--no-approve", help="Whether to ask for your approval before it goes live."),
]


def command_group() -> typer.Typer:
    """The subcommands of one noun; its help is in the table of `cli.app`."""
    return typer.Typer(no_args_is_help=True, add_completion=False, epilog=EPILOG)
