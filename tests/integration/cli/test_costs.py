"""`orchestrator cost` and keys of the installation, against the real API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.integration.cli.test_over_http import Terminal
from tests.support.api import running_api, served

KEY = "sk-ant-a-key-that-nobody-sees"


@pytest_asyncio.fixture(scope="module")
async def terminal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    async with running_api(tmp_path_factory.mktemp("api")) as api, served(api.app) as url:
        yield Terminal(api, url, "").of(api.admin)


async def test_costs_are_shown_with_what_is_unknown_and_how_wrong_an_estimate_was(terminal: Terminal) -> None:
    api = terminal.api
    nothing = await terminal.says("cost", "--month", "2020-02")
    assert (nothing.code, "No costs in 2020-02" in nothing.out) == (0, True), nothing
    project = await api.new_project(api.admin)
    turn = {"worker_id": "w-1", "turn": 1, "task_id": "t-1", "project_id": project, "agent": "claude-code"}
    assert (await api.http.post("/internal/model-turns", json=turn, headers=api.platform)).status_code == 200
    for known, usd in ((True, 1.5), (False, 0.25)):
        await api.execute(
            "INSERT INTO model_requests (id, worker_id, turn, task_id, project_id, account, api, model, state, "
            "input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_usd, reserved_usd, known, "
            "price_known, started_at) VALUES ($1, 'w-1', 1, 't-1', $2, 'anthropic', 'messages', 'claude-opus-5-5', "
            "'answered', 1000, 200, 30, 4, $3, 0, $4, true, now())",
            uuid4().hex, project, usd, known,
        )  # fmt: skip
    await api.execute("INSERT INTO cost_estimates VALUES ('t-1', $1, 'claude-code', 1.0, 1.0, 1.0, 3, now())", project)
    shown = await terminal.says("cost", "--by", "task", "--project", project)
    assert shown.code == 0, shown
    for said in ("t-1", "$1.75", "$1.00 (+75%)", "60 read, 8 written", "Of 1 requests", "$0.2500"):
        assert said in shown.out, (said, shown.out)
    document = json.loads((await terminal.says("cost", "--by", "model", "--json")).out)
    assert document["items"][0]["key"] == "claude-opus-5-5"
    assert document["total"]["unknown_usd"] == 0.25
    wrong = await terminal.says("cost", "--month", "november")
    assert (wrong.code, "2026-11" in wrong.err) == (2, True), wrong


async def test_a_key_for_models_goes_in_and_is_never_shown(terminal: Terminal) -> None:
    stored = await terminal.says("secret", "set", "--platform", "ANTHROPIC_API_KEY", stdin=KEY)
    assert (stored.code, "Stored ANTHROPIC_API_KEY" in stored.out) == (0, True), stored
    assert KEY not in stored.out + stored.err
    argument = await terminal.says("secret", "set", "--platform", "ANTHROPIC_API_KEY", KEY)
    assert (argument.code, "Nothing was stored" in argument.err) == (2, True), argument
    other = await terminal.says("secret", "set", "--platform", "SOMETHING", stdin=KEY)
    assert (other.code, "OPENAI_API_KEY" in other.err) == (2, True), other
    alone = await terminal.says("secret", "set", "ANTHROPIC_API_KEY", stdin=KEY)
    assert (alone.code, "Name the project" in alone.err) == (2, True), alone
