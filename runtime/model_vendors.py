"""Vendors of models, and whether one takes a key: it is asked for its list of models, which costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import httpx

from contracts.states import AgentKind

ANTHROPIC, OPENAI = "anthropic", "openai"
KEY_NAMES = {ANTHROPIC: "ANTHROPIC_API_KEY", OPENAI: "OPENAI_API_KEY"}
"""What a key is called in the environment and in the vault, by account."""
ACCOUNT_OF = {
    AgentKind.CLAUDE_CODE: ANTHROPIC,
    AgentKind.FACTORY_DROID: ANTHROPIC,
    AgentKind.OPENCODE: ANTHROPIC,
    AgentKind.CODEX: OPENAI,
}
"""Which account an agent works with; the scripted one needs none."""
_ANSWER_S = 5.0
_ANTHROPIC_VERSION = "2023-06-01"

Verdict = Literal["taken", "refused", "unreachable", "unclear"]


@dataclass(frozen=True)
class KeyCheck:
    """taken: the vendor has listed its models. refused: it does not know the key, or the key may not do that.
    unreachable: nothing answers, or the vendor fails. unclear: something answers and says nothing about the key, as a
    gateway without a list of models does. `said` is for people and never has the key in it.
    """

    verdict: Verdict
    said: str


async def check_key(http: httpx.AsyncClient, account: str, base_url: str, key: str) -> KeyCheck:
    """One request for the list of models, at most five seconds; its body is not read."""
    base = base_url.rstrip("/")
    if not (key.isascii() and key.isprintable()):
        return KeyCheck("refused", "the key has characters that no key has")
    path, headers = "/models", {"authorization": f"Bearer {key}"}
    if account == ANTHROPIC:
        path, headers = "/v1/models", {"x-api-key": key, "anthropic-version": _ANTHROPIC_VERSION}
    try:
        async with http.stream("GET", f"{base}{path}", headers=headers, timeout=_ANSWER_S) as reply:
            return _judged(base, reply.status_code, reply.headers.get("content-type", ""))
    except httpx.HTTPError as error:
        return KeyCheck("unreachable", f"{base} does not answer ({type(error).__name__})")


def _judged(base: str, status: int, content_type: str) -> KeyCheck:
    if status in {401, 403}:
        return KeyCheck("refused", f"{base} refuses the key (status {status})")
    if status >= 500:
        return KeyCheck("unreachable", f"{base} fails (status {status})")
    if status == 200 and content_type.partition(";")[0].strip().lower() == "application/json":
        return KeyCheck("taken", f"{base} takes the key")
    return KeyCheck("unclear", f"{base} has no list of models (status {status}), so the key was not tried")
