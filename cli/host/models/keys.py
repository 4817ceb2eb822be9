"""What `doctor` says about models: who does new work, and whether the vendors take the keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from cli.client.home import admin_key
from cli.host.finding import Finding, Verdict
from cli.host.health import model_health
from cli.host.models.facts import model_facts, until
from cli.host.parts import Parts
from contracts.errors import OrchestratorError
from contracts.states import AgentKind
from runtime import private_files
from runtime.api_client import ApiClient
from runtime.model_vendors import ANTHROPIC, KEY_NAMES, OPENAI, check_key

_VERDICTS: dict[str, Verdict] = {"taken": "ok", "refused": "problem", "unreachable": "problem", "unclear": "optional"}
_NO_KEY = (
    "set ANTHROPIC_API_KEY or OPENAI_API_KEY for `orchestrator up`, or store one with `orchestrator secret set "
    "--platform ANTHROPIC_API_KEY`"
)
_IN_COMPOSE = (
    'docker-compose exec model-proxy python -c "import urllib.request as r; '
    "print(r.urlopen('http://127.0.0.1:8183/health?check=1').read().decode())\""
)


async def agent_of_new_work(parts: Parts) -> list[Finding]:
    """Nothing while the API does not answer, which is a finding of its own."""
    try:
        async with ApiClient(parts.settings.api_url, admin_key(parts.settings), attempts=1, timeout_s=5) as api:
            facts = await model_facts(parts, api)
    except OrchestratorError:
        return []
    if facts.trouble:
        return [Finding("agent of new work", "problem", facts.who, facts.trouble)]
    return [Finding("agent of new work", "optional" if facts.agent is AgentKind.SCRIPTED else "ok", facts.who)]


async def model_keys(parts: Parts) -> list[Finding]:
    """One finding for each key. A proxy that runs asks the vendors itself; otherwise this process does."""
    if parts.is_run_elsewhere:
        return [Finding("model key", "optional", "only the model proxy knows", f"ask it: {_IN_COMPOSE}")]
    if not parts.runs_model_proxy:
        return await _keys_of_this_process(parts)
    try:
        accounts = await model_health(parts, check=True)
    except OrchestratorError:
        # That the proxy does not answer is a finding of its own.
        return []
    found = [_at_the_proxy(name, told) for name, told in accounts.items() if told.get("key")]
    return found or [Finding("model key", "optional", "none", _NO_KEY)]


async def _keys_of_this_process(parts: Parts) -> list[Finding]:
    settings = parts.settings
    if not settings.has_model_key:
        if parts.stored_model_keys:
            return [Finding("model key", "optional", "in the vault; the model proxy does not run, so it was not tried")]
        return [Finding("model key", "optional", "none: new work uses the scripted agent", _NO_KEY)]
    given = {
        ANTHROPIC: (settings.anthropic_api_key, settings.anthropic_api_key_file, settings.anthropic_base_url),
        OPENAI: (settings.openai_api_key, settings.openai_api_key_file, settings.openai_base_url),
    }
    async with httpx.AsyncClient(trust_env=False) as http:
        return [
            await _tried(http, name, base_url, key, file)
            for name, (key, file, base_url) in given.items()
            if key is not None or file is not None
        ]


async def _tried(
    http: httpx.AsyncClient, name: str, base_url: str, key: SecretStr | None, file: Path | None
) -> Finding:
    try:
        value = key.get_secret_value() if key is not None else private_files.read(file) if file is not None else ""
    except OrchestratorError as error:
        return Finding(_title(name), "problem", error.message, "name a file with the key, mode 0600")
    found = await check_key(http, name, base_url, value.strip())
    return _finding(name, found.verdict, found.said)


def _at_the_proxy(name: str, told: dict[str, Any]) -> Finding:
    check, limit = told.get("check"), told.get("limit")
    found = _finding(name, str((check or {}).get("verdict")), str((check or {}).get("said")))
    if found.verdict == "ok" and isinstance(limit, dict):
        return Finding(_title(name), "optional", f"{found.found}; limited{until(limit)}: {limit.get('message')}")
    return found


def _finding(name: str, verdict: str, said: str) -> Finding:
    advice = {
        "refused": f"set another {KEY_NAMES[name]} and run `orchestrator up --detach`, or store one: "
        f"`orchestrator secret set --platform {KEY_NAMES[name]}`",
        "unreachable": f"the network, a proxy, or ORCHESTRATOR_{name.upper()}_BASE_URL: the key itself was not tried",
        "unclear": "the first request of an agent will show it",
    }
    return Finding(_title(name), _VERDICTS.get(verdict, "problem"), said, advice.get(verdict, ""))


def _title(name: str) -> str:
    return f"model key: {name}"
