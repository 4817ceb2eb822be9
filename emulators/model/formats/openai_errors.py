"""Errors and headers that both of OpenAI's interfaces have."""

from emulators.model.exchange import Json, Refusal


def document(refusal: Refusal) -> Json:
    """The body of a response with an error. A usage window names the second at which it opens."""
    error: Json = {"message": refusal.message, "type": refusal.type, "param": None, "code": refusal.code}
    if refusal.reset_s is not None:
        error["resets_in_seconds"] = max(1, round(refusal.reset_s))
    return {"error": error}


def headers(refusal: Refusal | None, number: int) -> dict[str, str]:
    found = {"x-request-id": f"req_model_{number:06d}", "openai-organization": "org-scripted"}
    if refusal is None or refusal.reset_s is None:
        return found
    seconds = max(1, round(refusal.reset_s))
    return found | {
        "retry-after": str(seconds),
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": f"{seconds}s",
        "x-ratelimit-reset-tokens": f"{seconds}s",
    }
