"""Every refusal as an RFC 9457 problem document with a stable code. Only this module maps errors to HTTP."""

import http

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from api.database import database_unreachable, disk_full, is_disk_full, is_unreachable
from api.edge.methods import allowed
from api.edge.openapi import PROBLEM
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded
from contracts.nouns import Problem
from contracts.wording import in_words

_MAX_ERRORS = 20
_BY_STATUS = {
    400: ErrorCode.INVALID_INPUT,
    401: ErrorCode.NOT_AUTHENTICATED,
    403: ErrorCode.NOT_ALLOWED,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.PAYLOAD_TOO_LARGE,
}
# SQLSTATE class 22 is "data exception": a value that no column can hold.
_DATA_EXCEPTION = "22"

log = structlog.get_logger(__name__)


def problem_response(
    code: ErrorCode,
    detail: str,
    request_id: str,
    *,
    status: int | None = None,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """The reply to a refused request."""
    status = status or OrchestratorError(code, detail).http_status
    problem = Problem(
        type=f"urn:orchestrator:error:{code.value.lower()}",
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code.value,
        request_id=request_id,
        errors=errors or [],
    )
    headers = {"WWW-Authenticate": "Bearer", **(headers or {})} if status == 401 else headers
    return JSONResponse(problem.model_dump(), status, headers, PROBLEM)


def install(app: FastAPI) -> None:
    """Translate every expected error; the middleware answers unexpected ones."""
    app.add_exception_handler(OrchestratorError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(PoolTimeoutError, _database)


def _request_id(request: Request) -> str:
    return str(request.scope.get("request_id", ""))


async def _expected(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OrchestratorError)
    if error.http_status >= 500:
        log.error("request failed", code=error.code.value, error_message=error.message, details=error.details)
    return problem_response(error.code, error.message, _request_id(request))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": _field(entry["loc"]), "message": _printable(in_words(entry)), "type": str(entry["type"])}
        for entry in list(error.errors())[:_MAX_ERRORS]
    ]
    named = "; ".join(f"{entry['field']}: {entry['message']}" for entry in errors[:3])
    return problem_response(
        ErrorCode.INVALID_INPUT, f"The request is not valid. {named}", _request_id(request), errors=errors
    )


def _field(location: tuple[int | str, ...]) -> str:
    return _printable(bounded(".".join(str(part)[:100] for part in location), 300))


def _printable(text: str) -> str:
    """Names of unknown fields come from the caller, and may hold characters that no reply can encode."""
    return text.encode("ascii", "backslashreplace").decode() if not text.isprintable() else text


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _BY_STATUS.get(error.status_code, ErrorCode.INTERNAL)
    detail = {
        404: "There is no such route.",
        405: "This route does not support that method.",
        400: "The request cannot be read; is its body valid JSON in UTF-8?",
    }.get(error.status_code, str(error.detail))
    status = 422 if error.status_code == 400 else error.status_code
    headers = dict(error.headers or {})
    if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = allowed(request)
    return problem_response(code, detail, _request_id(request), status=status, headers=headers)


async def _database(request: Request, error: Exception) -> JSONResponse:
    sqlstate = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    if isinstance(error, DBAPIError) and _is_bad_value(error, sqlstate):
        return problem_response(ErrorCode.INVALID_INPUT, "A value is too large to be stored.", _request_id(request))
    if is_disk_full(error):
        log.error("the disk of the database is full", alert="disk_full")
        refusal = disk_full()
        return problem_response(refusal.code, refusal.message, _request_id(request))
    if is_unreachable(error):
        log.error("the database does not answer", cause=type(error).__name__, sqlstate=sqlstate)
        refusal = database_unreachable()
        return problem_response(refusal.code, refusal.message, _request_id(request))
    raise error


def _is_bad_value(error: DBAPIError, sqlstate: str) -> bool:
    # asyncpg refuses some values before it sends them; those errors carry no SQLSTATE.
    return sqlstate.startswith(_DATA_EXCEPTION) or "invalid input for query argument" in str(error.orig)


def permanent(code: ErrorCode, message: str) -> OrchestratorError:
    """A refusal that stays the same however often the request is repeated."""
    return OrchestratorError(code, message, error_class=ErrorClass.PERMANENT)


def not_found(noun: str, identifier: str) -> OrchestratorError:
    """The same answer for what does not exist and for what belongs to others."""
    return permanent(ErrorCode.NOT_FOUND, f"There is no {noun} {identifier!r} that you may see.")
