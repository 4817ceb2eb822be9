"""What a request asks for, as far as the proxy must know it: the model, how much it may write, and what is refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.model_proxy.vendor_side import unpriced, vendor_side

MOST_OUTPUT = 128_000
"""Tokens that an answer may have whose request names no limit: as many as the largest models write."""
_HIGHEST_LIMIT = 1_000_000
_MAX_MODEL = 200
_MAX_ANSWERS = 128
_LIMITS = {
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "chat": ("max_completion_tokens", "max_tokens"),
}


class NotAsked(Exception):
    """The request is not one that may be sent. The text is for the agent."""


@dataclass(frozen=True)
class Question:
    """`most_output` is how many tokens its answer may have at most, all of its choices together."""

    model: str
    is_stream: bool
    most_output: int


def read(api: str, body: bytes, *, allow_vendor_side: bool) -> Question:
    """The request of this API. Raises NotAsked, also for what would run at the vendor, beyond what the agent may do."""
    document = _document(body)
    model = document.get("model")
    if not isinstance(model, str) or not model.isprintable() or not 1 <= len(model) <= _MAX_MODEL:
        raise NotAsked("The request is no JSON object that names a model.")
    if (refused := unpriced(document)) is not None:
        raise NotAsked(refused)
    if not allow_vendor_side and (found := vendor_side(api, document)) is not None:
        raise NotAsked(
            f"{found} is refused: the vendor would do it, outside of what this agent may reach or what is counted. "
            "The operator of the platform can allow it with ORCHESTRATOR_MODEL_VENDOR_TOOLS=true."
        )
    return Question(model, document.get("stream") is True, _most_output(api, document))


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise NotAsked("The request is no JSON object that names a model.")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises NotAsked for a name that comes twice: the vendor might read the other one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotAsked("The request has a JSON object with the same name twice.")
    return found


def _most_output(api: str, document: Mapping[str, Any]) -> int:
    said = [document.get(name) for name in _LIMITS.get(api, ())]
    limits = [limit for limit in said if type(limit) is int and limit > 0]
    most = min(max(limits), _HIGHEST_LIMIT) if limits else MOST_OUTPUT
    return most * _answers(document) if api == "chat" else most


def _answers(document: Mapping[str, Any]) -> int:
    """How many answers to one question are asked for, which are all billed."""
    wanted = document.get("n")
    return min(wanted, _MAX_ANSWERS) if type(wanted) is int and wanted > 1 else 1
