"""`doctor` says whether a vendor takes the key, refuses it or does not answer; also before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cli.host.models.keys import _at_the_proxy, model_keys
from cli.host.parts import Parts
from runtime.settings import Settings
from tests.support.ports import any_free
from tests.support.vendor import Answer, vendor

KEY = "sk-a-key-that-nobody-may-read"


def parts(home: Path, **chosen: Any) -> Parts:
    return Parts(Settings(home=home, **chosen))


@pytest.mark.parametrize(("status", "verdict"), [(200, "ok"), (401, "problem"), (500, "problem"), (404, "optional")])
async def test_a_key_is_tried_without_a_platform(tmp_path: Path, status: int, verdict: str) -> None:
    async with vendor() as asked:
        asked.answers = [Answer([b"{}"], headers={"content-type": "application/json"}, status=status)]
        settings = {"anthropic_api_key": SecretStr(KEY), "anthropic_base_url": asked.url}
        [found] = await model_keys(parts(tmp_path, **settings))
    assert (found.part, found.verdict) == ("model key: anthropic", verdict)
    assert KEY not in found.found + found.advice
    assert bool(found.advice) == (verdict != "ok")


async def test_a_vendor_that_does_not_answer_is_no_refusal(tmp_path: Path) -> None:
    settings = {"openai_api_key": SecretStr(KEY), "openai_base_url": f"http://127.0.0.1:{any_free()}/v1"}
    [found] = await model_keys(parts(tmp_path, **settings))
    assert found.verdict == "problem"
    assert "does not answer" in found.found
    assert "ORCHESTRATOR_OPENAI_BASE_URL" in found.advice
    assert "the key itself was not tried" in found.advice


async def test_without_a_key_it_says_how_to_give_one(tmp_path: Path) -> None:
    [found] = await model_keys(parts(tmp_path))
    assert found.verdict == "optional"
    assert "ANTHROPIC_API_KEY" in found.advice
    [compose] = await model_keys(parts(tmp_path, stack="compose"))
    assert "docker-compose exec model-proxy" in compose.advice


def test_a_key_that_is_taken_but_limited_says_until_when() -> None:
    limit = {"kind": "window", "message": "used up", "until": "2026-11-30T12:00:00Z"}
    told = {"key": True, "check": {"verdict": "taken", "said": "it takes the key"}, "limit": limit}
    found = _at_the_proxy("anthropic", told)
    assert found.verdict == "optional"
    assert "limited until 2026-11-30" in found.found
