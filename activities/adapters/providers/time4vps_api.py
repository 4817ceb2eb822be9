"""Time4VPS over HTTP: one request, its answer or its error. Each error says what to do, and none repeats an answer.

Status 401 has three meanings, told apart by the body: a wrong login, an address that the account does not list, and a
request that came too soon after another one, which is no refusal but a wait.
"""

import functools
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

_TIMEOUT_S = 30.0
_TOO_SOON = "wait_x_between_action"
_WAIT_S = 30.0
"""How long to wait where Time4VPS says that, but not how long."""
_LONGEST_WAIT_S = 600.0


@dataclass(frozen=True)
class Time4VpsLogin:
    """Name and password of the account's API access."""

    username: str
    password: SecretStr


@dataclass(frozen=True)
class Time4VpsApi:
    """`login` is asked for each time, so that a changed password counts at once. `url` is that of the API."""

    url: str
    login: Callable[[], Awaitable[Time4VpsLogin]]
    """Raises what a person is to do where there is none."""

    async def get(self, path: str) -> Any:  # noqa: ANN401 - a JSON document, read by the caller
        return await self._request("GET", path, None)

    async def post(self, path: str, body: dict[str, str]) -> Any:  # noqa: ANN401 - see get
        return await self._request("POST", path, body)

    async def _request(self, method: str, path: str, body: dict[str, str] | None) -> Any:  # noqa: ANN401 - see get
        login = await self.login()
        basic = httpx.BasicAuth(login.username, login.password.get_secret_value())
        try:
            # Nothing is followed: a redirect would take the password to wherever it points.
            async with httpx.AsyncClient(timeout=_TIMEOUT_S, auth=basic, verify=_authorities()) as client:
                answer = await client.request(method, f"{self.url.rstrip('/')}{path}", json=body)
        except httpx.HTTPError as error:
            raise _upstream(f"Time4VPS does not answer ({type(error).__name__})") from None
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise _unauthorised(answer)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise OrchestratorError(ErrorCode.NOT_FOUND, "Time4VPS has no such machine or task in this account.")
        if answer.status_code in {httpx.codes.CONFLICT, httpx.codes.LOCKED}:
            raise busy("Time4VPS does something else with this machine")
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
            raise _upstream(f"Time4VPS answers with an error ({answer.status_code})")
        if not answer.is_success:
            raise OrchestratorError(
                ErrorCode.PROVIDER_REFUSED,
                f"Time4VPS refuses this with status {answer.status_code}. Its client area says more.",
            )
        try:
            return answer.json()
        except ValueError:
            raise _upstream("Time4VPS answers with something that is no data, as during maintenance") from None


@functools.cache
def _authorities() -> ssl.SSLContext:
    """Reading the certificates of all authorities takes longer than a request."""
    return httpx.create_ssl_context()


def _unauthorised(answer: httpx.Response) -> OrchestratorError:
    words, wait_s = _reasons(answer)
    if _TOO_SOON in words:
        return OrchestratorError(
            ErrorCode.PROVIDER_THROTTLED,
            f"Time4VPS wants {wait_s:g} seconds between two requests; it is asked again then.",
            error_class=ErrorClass.UPSTREAM,
            details={"retry_after_s": wait_s},
        )
    if "ipnotallowed" in words:
        return OrchestratorError(
            ErrorCode.PROVIDER_ADDRESS_REFUSED,
            "Time4VPS does not let this machine's address in. Add the address in the client area, under API access.",
        )
    if "wronglogin" in words:
        return OrchestratorError(
            ErrorCode.PROVIDER_LOGIN_REFUSED,
            "Time4VPS refuses the login. Store the right one: orchestrator secret set --platform TIME4VPS_USERNAME, "
            "and TIME4VPS_PASSWORD.",
        )
    return OrchestratorError(
        ErrorCode.PROVIDER_REFUSED, "Time4VPS refuses to let the platform in, and does not say why. Log in there."
    )


def _reasons(answer: httpx.Response) -> tuple[set[str], float]:
    """The words of a refusal, and the wait in seconds that it may ask for."""
    try:
        given = json.loads(answer.text).get("error", [])
    except (ValueError, AttributeError):
        return set(), 0.0
    words, wait_s = set[str](), _WAIT_S
    for entry in given if isinstance(given, list) else [given]:
        if isinstance(entry, list) and entry:
            words.add(str(entry[0]))
            wait_s = _seconds(entry[1]) if len(entry) > 1 else wait_s
        else:
            words.add(str(entry))
    return words, wait_s


def _seconds(value: object) -> float:
    try:
        return min(max(float(str(value)), 1.0), _LONGEST_WAIT_S)
    except ValueError:
        return _WAIT_S


def busy(what: str) -> OrchestratorError:
    """Something else has to end first; asking again later helps."""
    return OrchestratorError(
        ErrorCode.PROVIDER_BUSY, f"{what}; the order is given when that has ended.", error_class=ErrorClass.UPSTREAM
    )


def unreadable() -> OrchestratorError:
    """An answer of another shape than the published one."""
    return _upstream("Time4VPS answers in a form that the platform does not know")


def _upstream(what: str) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.PROVIDER_UNREACHABLE, f"{what}; it is asked again.", error_class=ErrorClass.UPSTREAM
    )
