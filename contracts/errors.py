"""Domain errors: a stable code, a class that decides the retry policy, a message for a person.

One activity interceptor and one API handler translate them; nothing else maps errors.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Self

MAX_MESSAGE = 2_000
MAX_DETAIL = 4_000
MAX_LIST_BYTES = 32_000
"""Of a list of names in a message: a payload has room for several of them."""


class ErrorClass(StrEnum):
    """transient: 3 retries; upstream: 5 slow retries; permanent: none; fatal: our own broken invariant."""

    TRANSIENT = "transient"
    UPSTREAM = "upstream"
    PERMANENT = "permanent"
    FATAL = "fatal"


class ErrorCode(StrEnum):
    """Stable codes. A code is never renamed or reused."""

    # what the caller sent
    INVALID_INPUT = "INVALID_INPUT"
    NOT_AUTHENTICATED = "NOT_AUTHENTICATED"
    NOT_ALLOWED = "NOT_ALLOWED"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    TOO_MANY_STREAMS = "TOO_MANY_STREAMS"
    LOCKED_OUT = "LOCKED_OUT"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    STALE_PROJECTION = "STALE_PROJECTION"
    UNKNOWN_SETTING = "UNKNOWN_SETTING"
    BAD_SETTING_VALUE = "BAD_SETTING_VALUE"
    # questions
    QUESTION_CLOSED = "QUESTION_CLOSED"
    QUESTION_NOT_YOURS = "QUESTION_NOT_YOURS"
    QUESTION_WRONG_CHOICE = "QUESTION_WRONG_CHOICE"
    # workflows
    WORKFLOW_NOT_RUNNING = "WORKFLOW_NOT_RUNNING"
    WORKFLOW_BUSY = "WORKFLOW_BUSY"
    CONTAINERS_NEEDED = "CONTAINERS_NEEDED"
    WORKFLOW_LOST = "WORKFLOW_LOST"
    # engineering
    SCAFFOLD_FAILED = "SCAFFOLD_FAILED"
    REPOSITORY_FOREIGN = "REPOSITORY_FOREIGN"
    REPOSITORY_DIVERGED = "REPOSITORY_DIVERGED"
    REPOSITORY_UNREADABLE = "REPOSITORY_UNREADABLE"
    BRANCH_MOVED = "BRANCH_MOVED"
    COMMIT_NOT_ON_REMOTE = "COMMIT_NOT_ON_REMOTE"
    GIT_FAILED = "GIT_FAILED"
    AGENT_FAILED = "AGENT_FAILED"
    AGENT_LOST = "AGENT_LOST"
    AGENT_SESSION_UNKNOWN = "AGENT_SESSION_UNKNOWN"
    TESTS_FAILED = "TESTS_FAILED"
    TESTER_LOST = "TESTER_LOST"
    ACCEPTANCE_LOST = "ACCEPTANCE_LOST"
    STOPPED_BY_PERSON = "STOPPED_BY_PERSON"
    ENVIRONMENT_FAILED = "ENVIRONMENT_FAILED"
    STOPPED_AT_LIMIT = "STOPPED_AT_LIMIT"
    # deploy
    ENV_CONTRACT_INVALID = "ENV_CONTRACT_INVALID"
    SECRET_MISSING = "SECRET_MISSING"
    NO_SERVER = "NO_SERVER"
    NO_PORT = "NO_PORT"
    PORT_TAKEN = "PORT_TAKEN"
    PLAYBOOK_FAILED = "PLAYBOOK_FAILED"
    PLAYBOOK_LOST = "PLAYBOOK_LOST"
    MIGRATION_FAILED = "MIGRATION_FAILED"
    IMAGE_MISMATCH = "IMAGE_MISMATCH"
    RELEASE_NOT_KEPT = "RELEASE_NOT_KEPT"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    PROBE_FAILED = "PROBE_FAILED"
    NOTHING_TO_ROLL_BACK = "NOTHING_TO_ROLL_BACK"
    NOT_DEPLOYED = "NOT_DEPLOYED"
    # backups
    BACKUP_NOT_SET_UP = "BACKUP_NOT_SET_UP"
    BACKUP_RUNNING = "BACKUP_RUNNING"
    BACKUP_UNREACHABLE = "BACKUP_UNREACHABLE"
    BACKUP_REFUSED = "BACKUP_REFUSED"
    BACKUP_DAMAGED = "BACKUP_DAMAGED"
    BACKUP_FAILED = "BACKUP_FAILED"
    # providers of machines, and what people allow
    PROVIDER_UNREACHABLE = "PROVIDER_UNREACHABLE"
    PROVIDER_THROTTLED = "PROVIDER_THROTTLED"
    PROVIDER_LOGIN_REFUSED = "PROVIDER_LOGIN_REFUSED"
    PROVIDER_ADDRESS_REFUSED = "PROVIDER_ADDRESS_REFUSED"
    PROVIDER_REFUSED = "PROVIDER_REFUSED"
    PROVIDER_BUSY = "PROVIDER_BUSY"
    PROVIDER_CANNOT = "PROVIDER_CANNOT"
    PROVIDER_PRICE_CHANGED = "PROVIDER_PRICE_CHANGED"
    PROVIDER_FAILED = "PROVIDER_FAILED"
    PROVIDER_SILENT = "PROVIDER_SILENT"
    APPROVAL_MISSING = "APPROVAL_MISSING"
    APPROVAL_STALE = "APPROVAL_STALE"
    SERVER_RESERVED = "SERVER_RESERVED"
    SERVER_NOT_MANAGED = "SERVER_NOT_MANAGED"
    SERVER_NOT_EMPTY = "SERVER_NOT_EMPTY"
    HOST_KEY_CHANGED = "HOST_KEY_CHANGED"
    # platform
    TEMPORAL_UNREACHABLE = "TEMPORAL_UNREACHABLE"
    API_UNREACHABLE = "API_UNREACHABLE"
    DATABASE_UNREACHABLE = "DATABASE_UNREACHABLE"
    DOCKER_UNREACHABLE = "DOCKER_UNREACHABLE"
    SERVER_UNREACHABLE = "SERVER_UNREACHABLE"
    ARTIFACT_DISK_FULL = "ARTIFACT_DISK_FULL"
    DATABASE_DISK_FULL = "DATABASE_DISK_FULL"
    DOCKER_DISK_FULL = "DOCKER_DISK_FULL"
    ARTIFACT_NOT_FOUND = "ARTIFACT_NOT_FOUND"
    PAYLOAD_KEY_UNKNOWN = "PAYLOAD_KEY_UNKNOWN"
    PAYLOAD_TAMPERED = "PAYLOAD_TAMPERED"
    PAYLOAD_NOT_AUTHENTIC = "PAYLOAD_NOT_AUTHENTIC"
    KEY_FILE_UNSAFE = "KEY_FILE_UNSAFE"
    SETTINGS_INVALID = "SETTINGS_INVALID"
    PROCESS_FAILED = "PROCESS_FAILED"
    INTERNAL = "INTERNAL"


HTTP_STATUS: dict[ErrorCode, int] = {
    ErrorCode.INVALID_INPUT: 422,
    ErrorCode.NOT_AUTHENTICATED: 401,
    ErrorCode.NOT_ALLOWED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.CONFLICT: 409,
    ErrorCode.ALREADY_EXISTS: 409,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.REQUEST_TIMEOUT: 408,
    ErrorCode.TOO_MANY_REQUESTS: 429,
    ErrorCode.TOO_MANY_STREAMS: 429,
    ErrorCode.LOCKED_OUT: 429,
    ErrorCode.QUOTA_EXCEEDED: 409,
    ErrorCode.STALE_PROJECTION: 409,
    ErrorCode.UNKNOWN_SETTING: 404,
    ErrorCode.BAD_SETTING_VALUE: 422,
    ErrorCode.QUESTION_CLOSED: 409,
    ErrorCode.QUESTION_NOT_YOURS: 403,
    ErrorCode.QUESTION_WRONG_CHOICE: 422,
    ErrorCode.WORKFLOW_NOT_RUNNING: 409,
    ErrorCode.WORKFLOW_BUSY: 409,
    ErrorCode.CONTAINERS_NEEDED: 409,
    ErrorCode.NOTHING_TO_ROLL_BACK: 409,
    ErrorCode.RELEASE_NOT_KEPT: 409,
    ErrorCode.NOT_DEPLOYED: 409,
    ErrorCode.NO_SERVER: 409,
    ErrorCode.NO_PORT: 409,
    ErrorCode.PORT_TAKEN: 409,
    ErrorCode.SECRET_MISSING: 409,
    ErrorCode.BACKUP_NOT_SET_UP: 409,
    ErrorCode.BACKUP_RUNNING: 409,
    ErrorCode.BACKUP_UNREACHABLE: 503,
    ErrorCode.PROVIDER_UNREACHABLE: 503,
    ErrorCode.PROVIDER_THROTTLED: 503,
    ErrorCode.PROVIDER_LOGIN_REFUSED: 409,
    ErrorCode.PROVIDER_ADDRESS_REFUSED: 409,
    ErrorCode.PROVIDER_REFUSED: 409,
    ErrorCode.PROVIDER_BUSY: 409,
    ErrorCode.PROVIDER_CANNOT: 409,
    ErrorCode.PROVIDER_PRICE_CHANGED: 409,
    ErrorCode.APPROVAL_MISSING: 409,
    ErrorCode.APPROVAL_STALE: 409,
    ErrorCode.SERVER_RESERVED: 409,
    ErrorCode.SERVER_NOT_MANAGED: 409,
    ErrorCode.SERVER_NOT_EMPTY: 409,
    ErrorCode.HOST_KEY_CHANGED: 409,
    ErrorCode.ARTIFACT_NOT_FOUND: 404,
    ErrorCode.TEMPORAL_UNREACHABLE: 503,
    ErrorCode.API_UNREACHABLE: 503,
    ErrorCode.DATABASE_UNREACHABLE: 503,
    ErrorCode.DOCKER_UNREACHABLE: 503,
    ErrorCode.SERVER_UNREACHABLE: 503,
    ErrorCode.ARTIFACT_DISK_FULL: 507,
    ErrorCode.DATABASE_DISK_FULL: 507,
    ErrorCode.DOCKER_DISK_FULL: 507,
}

OWN_OUTAGES = frozenset(
    {
        ErrorCode.API_UNREACHABLE,
        ErrorCode.DATABASE_UNREACHABLE,
        ErrorCode.TEMPORAL_UNREACHABLE,
        ErrorCode.ARTIFACT_DISK_FULL,
        ErrorCode.DATABASE_DISK_FULL,
        ErrorCode.DOCKER_DISK_FULL,
        ErrorCode.DOCKER_UNREACHABLE,
    }
)
"""An unavailable part of the platform fails no work, which waits until the part is back."""

SERVER_OUTAGES = frozenset({ErrorCode.SERVER_UNREACHABLE})
"""A server that does not answer is waited for, for `SERVER_PATIENCE_S`: it restarts, or its network is cut."""

SERVER_PATIENCE_S = 900.0


class OrchestratorError(Exception):
    """An expected failure.

    `message` is for a person and says what to do next; `details` is bounded and for an operator. Neither may
    hold a secret value.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        error_class: ErrorClass = ErrorClass.PERMANENT,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = bounded(message, MAX_MESSAGE)
        self.error_class = error_class
        self.details = {key: bounded(str(value), MAX_DETAIL) for key, value in (details or {}).items()}

    @classmethod
    def transient(cls, code: ErrorCode, message: str) -> Self:
        """A failure after which doing the same again may help."""
        return cls(code, message, error_class=ErrorClass.TRANSIENT)

    @property
    def http_status(self) -> int:
        """The HTTP status that this code answers with."""
        return HTTP_STATUS.get(self.code, 500)

    @property
    def retryable(self) -> bool:
        """Whether trying again can help."""
        return self.error_class in {ErrorClass.TRANSIENT, ErrorClass.UPSTREAM}


def bounded(text: str, limit: int) -> str:
    """`text`, cut in the middle to `limit` characters: the start says what, the end says why. Lines stay whole."""
    if len(text) <= limit:
        return text
    half = (limit - 20) // 2
    return f"{_beginning_of(text, half)}\n[… cut …]\n{end_of(text, half)}"


def end_of(text: str, limit: int) -> str:
    """The last `limit` characters of a text at most, from the beginning of a line; a mark if one line is longer."""
    if len(text) <= limit:
        return text
    cut, whole = text[-limit:], text[-limit - 1 :].partition("\n")[2]
    return whole if len(whole) > limit // 2 else f"…{cut[1:]}"


def _beginning_of(text: str, limit: int) -> str:
    cut, whole = text[:limit], text[: limit + 1].rpartition("\n")[0]
    return whole if len(whole) > limit // 2 else cut


def with_ending(text: str, ending: str) -> str:
    """`text` and what follows from it: in its last sentence, or behind a log on a line of its own."""
    if not ending:
        return text
    if "\n" in text.rstrip():
        return f"{text.rstrip()}\n\n{ending[:1].upper()}{ending[1:]}."
    return f"{text.rstrip().rstrip('.')}; {ending}."


def bounded_list(texts: Iterable[str], items: int = 1_000, size: int = MAX_LIST_BYTES) -> list[str]:
    """The first of `texts`: at most so many, and at most so many bytes of UTF-8 together."""
    kept: list[str] = []
    for text in texts:
        size -= len(text.encode("utf-8", "replace")) + 1
        if len(kept) == items or size < 0:
            break
        kept.append(text)
    return kept
