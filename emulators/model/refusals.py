"""Errors as the originals word them."""

from emulators.model.exchange import Refusal
from emulators.model.steps import Do, Step

_ANTHROPIC = {
    400: ("invalid_request_error", "The request is invalid, says the scenario."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "The requested resource could not be found."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}
_OPENAI = {
    400: ("invalid_request_error", None, "The request is invalid, says the scenario."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("insufficient_quota", "insufficient_quota", "You exceeded your current quota, please check your plan."),
    403: ("invalid_request_error", "permission_denied", "You do not have access to this model."),
    429: ("rate_limit_exceeded", "rate_limit_exceeded", "Rate limit reached. Please try again later."),
    500: ("server_error", None, "The server had an error while processing your request."),
    529: ("server_error", "overloaded", "That model is currently overloaded with other requests."),
}


def of_status(form: str, status: int, reset_s: float | None = None, message: str = "") -> Refusal:
    """The refusal of an interface ("messages", "responses" or "chat") with a status."""
    if form == "messages":
        type_, text = _ANTHROPIC.get(status, ("api_error", "The scenario refuses this request."))
        return Refusal(status, type_, message or text, reset_s=reset_s)
    kind, code, text = _OPENAI.get(status, ("server_error", None, "The scenario refuses this request."))
    if status == 429 and reset_s is not None and reset_s > 60:
        kind, code, text = "usage_limit_reached", "usage_limit_reached", "The usage limit has been reached"
    return Refusal(status, kind, message or text, code=code, reset_s=reset_s)


def of_step(form: str, step: Step, left_s: float | None) -> Refusal:
    """The refusal that a step prescribes. `left_s`: how long its window stays closed."""
    if step.do is Do.OVERFLOW:
        return _overflow(form)
    reset_s = step.reset_s if left_s is None else left_s
    return of_status(form, step.status, reset_s if step.status == 429 or reset_s else None)


def _overflow(form: str) -> Refusal:
    if form == "messages":
        return Refusal(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")
    text = "Your input exceeds the context window of this model. Please adjust your input and try again."
    if form == "chat":
        text = "This model's maximum context length is 200000 tokens. However, your messages resulted in 210000 tokens."
    return Refusal(400, "invalid_request_error", text, code="context_length_exceeded")
