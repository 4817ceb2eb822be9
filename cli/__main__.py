"""The `orchestrator` program: runs one command and turns every ending into a documented exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import typer

from cli.app import Commands, app
from cli.terminal.exits import ExitCode, exit_code_for
from cli.terminal.output import write_error
from contracts.errors import ErrorCode, OrchestratorError


def main() -> None:
    """Entry point of the console script."""
    code = run(sys.argv[1:])
    _send_traces()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        os._exit(code)
    # A short program that has used temporalio may crash while the interpreter is torn down.
    os._exit(code)


def _send_traces() -> None:
    # `--help` and refused arguments have not even loaded the module.
    if telemetry := sys.modules.get("runtime.observability.telemetry"):
        telemetry.flush()


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; expected failures are reported in one line."""
    as_json = "--json" in arguments
    if os.environ.get("ORCHESTRATOR_DEBUG"):
        return _invoked(arguments)
    try:
        _check_text(arguments)
        return _invoked(arguments)
    except typer.TyperException as error:
        return _usage(error, as_json)
    except typer.Abort:
        return _told("INTERRUPTED", "Interrupted.", {}, as_json, 130)
    except BrokenPipeError:
        return _reader_has_gone()
    except BaseException as error:  # noqa: BLE001 - the last line of defence: users get no traceback
        return _failed(error, as_json)


def _invoked(arguments: Sequence[str]) -> int:
    command = typer.main.get_command(app)
    with _traced(command, arguments):
        result = command.main(args=list(arguments), prog_name="orchestrator", standalone_mode=False)
    return int(result) if isinstance(result, int) else 0


def _traced(command: object, arguments: Sequence[str]) -> AbstractContextManager[object]:
    """A span named after the command; what a person adds to it stays out of traces."""
    if not any(name.startswith("OTEL_EXPORTER_OTLP_") for name in os.environ):
        return nullcontext()
    from runtime.observability import telemetry

    words = ["orchestrator"]
    for argument in arguments:
        if isinstance(command, Commands):
            command.open(argument)
        command = getattr(command, "commands", {}).get(argument)
        if command is None:
            break
        words.append(argument)
    return telemetry.command_span(" ".join(words))


def _check_text(arguments: Sequence[str]) -> None:
    if any("\ud800" <= char <= "\udfff" for argument in arguments for char in argument):
        raise OrchestratorError(ErrorCode.INVALID_INPUT, "An argument is not valid UTF-8 text.")
    if any("\x00" in argument for argument in arguments):
        raise OrchestratorError(ErrorCode.INVALID_INPUT, "An argument contains a NUL character.")


def _usage(error: typer.TyperException, as_json: bool) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(error.format_message() + "\n")
        return 2
    where = getattr(getattr(error, "ctx", None), "command_path", "orchestrator")
    problem = error.format_message().strip()
    message = f"{problem if problem.endswith(('.', '?', ')')) else problem + '.'} See `{where} --help`."
    return _told("INVALID_INPUT", message, {}, as_json, 2)


def _failed(error: BaseException, as_json: bool) -> int:
    if isinstance(error, OrchestratorError):
        return _told(error.code.value, error.message, error.details, as_json, exit_code_for(error.code))
    if isinstance(error, KeyboardInterrupt):
        return _told("INTERRUPTED", "Interrupted.", {}, as_json, ExitCode.INTERRUPTED)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else ExitCode.INTERNAL
    message = f"The command failed unexpectedly ({type(error).__name__}). Set ORCHESTRATOR_DEBUG=1 to see where."
    return _told("INTERNAL", message, {"cause": str(error)[:500]}, as_json, ExitCode.INTERNAL)


def _told(code: str, message: str, details: dict[str, str], as_json: bool, exit_code: int) -> int:
    write_error(code, message, details, as_json=as_json)
    return int(exit_code)


def _reader_has_gone() -> int:
    """Whoever read our output has enough (`… | head`); later writes must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    main()
