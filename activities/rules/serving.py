"""What serves a project, in words for people."""

from contracts.steps import Serving


def in_words(seen: Serving, *, failed: str, previous: str | None) -> str:
    """What was seen after a return to `previous` that failed; `failed` is the release that was to be replaced by it."""
    if not seen.known:
        why = f" ({seen.detail})" if seen.detail else ""
        return f"It is not known what serves: the server does not answer{why}."
    if seen.release_id is not None and seen.release_id == previous:
        return f"The previous release {previous} serves."
    if seen.release_id == failed:
        return f"Release {failed} still serves, although its deploy has failed."
    if seen.answers:
        return f"No healthy release serves: something answers, but not as it should ({seen.detail})."
    return f"Nothing serves at the moment. Deploy again{', or roll back to an earlier release' if previous else ''}."
