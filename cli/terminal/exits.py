"""Exit codes: part of the command line's contract, listed in `docs/cli.md`."""

from enum import IntEnum
from typing import Final

from contracts.errors import ErrorCode


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    CONFLICT = 5
    UNREACHABLE = 6
    INTERNAL = 7
    INTERRUPTED = 130


EPILOG: Final = (
    "Exit codes: 0 done, 1 the work failed, 2 wrong usage or input, 3 not found, 4 not allowed, "
    "5 conflict or already closed, 6 no answer from the platform, 7 internal error, 130 interrupted. "
    "Every command accepts --json."
)

_BY_CODE: Final = {
    ErrorCode.INVALID_INPUT: ExitCode.USAGE,
    ErrorCode.METHOD_NOT_ALLOWED: ExitCode.INTERNAL,
    ErrorCode.PAYLOAD_TOO_LARGE: ExitCode.USAGE,
    ErrorCode.QUESTION_WRONG_CHOICE: ExitCode.USAGE,
    ErrorCode.SETTINGS_INVALID: ExitCode.USAGE,
    ErrorCode.BAD_SETTING_VALUE: ExitCode.USAGE,
    ErrorCode.NOT_FOUND: ExitCode.NOT_FOUND,
    ErrorCode.UNKNOWN_SETTING: ExitCode.NOT_FOUND,
    ErrorCode.ARTIFACT_NOT_FOUND: ExitCode.NOT_FOUND,
    ErrorCode.NOT_AUTHENTICATED: ExitCode.NOT_ALLOWED,
    ErrorCode.NOT_ALLOWED: ExitCode.NOT_ALLOWED,
    ErrorCode.QUESTION_NOT_YOURS: ExitCode.NOT_ALLOWED,
    ErrorCode.KEY_FILE_UNSAFE: ExitCode.NOT_ALLOWED,
    ErrorCode.CONFLICT: ExitCode.CONFLICT,
    ErrorCode.ALREADY_EXISTS: ExitCode.CONFLICT,
    ErrorCode.STALE_PROJECTION: ExitCode.CONFLICT,
    ErrorCode.QUESTION_CLOSED: ExitCode.CONFLICT,
    ErrorCode.WORKFLOW_NOT_RUNNING: ExitCode.CONFLICT,
    ErrorCode.WORKFLOW_BUSY: ExitCode.CONFLICT,
    ErrorCode.QUOTA_EXCEEDED: ExitCode.CONFLICT,
    ErrorCode.TOO_MANY_REQUESTS: ExitCode.CONFLICT,
    ErrorCode.TOO_MANY_STREAMS: ExitCode.CONFLICT,
    ErrorCode.LOCKED_OUT: ExitCode.CONFLICT,
    ErrorCode.NOTHING_TO_ROLL_BACK: ExitCode.CONFLICT,
    ErrorCode.RELEASE_NOT_KEPT: ExitCode.CONFLICT,
    ErrorCode.NOT_DEPLOYED: ExitCode.CONFLICT,
    ErrorCode.BACKUP_NOT_SET_UP: ExitCode.USAGE,
    ErrorCode.BACKUP_RUNNING: ExitCode.CONFLICT,
    ErrorCode.BACKUP_UNREACHABLE: ExitCode.UNREACHABLE,
    ErrorCode.TEMPORAL_UNREACHABLE: ExitCode.UNREACHABLE,
    ErrorCode.API_UNREACHABLE: ExitCode.UNREACHABLE,
    ErrorCode.DATABASE_UNREACHABLE: ExitCode.UNREACHABLE,
    ErrorCode.INTERNAL: ExitCode.INTERNAL,
    ErrorCode.PAYLOAD_KEY_UNKNOWN: ExitCode.INTERNAL,
    ErrorCode.PAYLOAD_TAMPERED: ExitCode.INTERNAL,
    ErrorCode.PAYLOAD_NOT_AUTHENTIC: ExitCode.INTERNAL,
}


def exit_code_for(code: ErrorCode) -> ExitCode:
    """The exit code of an error; what the work itself reports (tests, deploy, …) is FAILED."""
    return _BY_CODE.get(code, ExitCode.FAILED)
