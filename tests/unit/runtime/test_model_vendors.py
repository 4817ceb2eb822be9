"""A key is taken, refused, or nobody could be asked; and each agent has an account to work with."""

from __future__ import annotations

import httpx
import pytest

from contracts.states import AgentKind
from runtime.model_vendors import ACCOUNT_OF, ANTHROPIC, OPENAI, KeyCheck, check_key
from workers.agents import AGENTS

KEY = "sk-a-key-that-nobody-may-read"


async def checked(
    answer: httpx.Response | Exception, account: str = ANTHROPIC
) -> tuple[KeyCheck, httpx.Request | None]:
    asked: list[httpx.Request] = []

    def vendor(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with httpx.AsyncClient(transport=httpx.MockTransport(vendor)) as http:
        found = await check_key(http, account, "https://gateway.example/base/", KEY)
    return found, asked[0] if asked else None


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (httpx.Response(200, json={"data": []}), "taken"),
        (httpx.Response(401, json={}), "refused"),
        (httpx.Response(403, json={}), "refused"),
        (httpx.Response(529, json={}), "unreachable"),
        (httpx.ConnectError(f"no route with {KEY}"), "unreachable"),
        (httpx.ReadTimeout("slow"), "unreachable"),
        (httpx.Response(404, json={}), "unclear"),
        (httpx.Response(301, headers={"location": "https://elsewhere.example"}), "unclear"),
        (httpx.Response(200, html="<p>log in to this network</p>"), "unclear"),
    ],
)
async def test_what_an_answer_says_about_the_key(answer: httpx.Response | Exception, verdict: str) -> None:
    found, _ = await checked(answer)
    assert found.verdict == verdict
    assert KEY not in found.said
    assert "https://gateway.example/base" in found.said


async def test_a_vendor_is_asked_for_its_models_and_for_nothing_that_costs() -> None:
    _, anthropic = await checked(httpx.Response(200, json={}))
    _, openai = await checked(httpx.Response(200, json={}), OPENAI)
    assert anthropic is not None
    assert openai is not None
    assert [(one.method, one.url.path) for one in (anthropic, openai)] == [
        ("GET", "/base/v1/models"), ("GET", "/base/models"),
    ]  # fmt: skip
    assert anthropic.headers["x-api-key"] == KEY
    assert openai.headers["authorization"] == f"Bearer {KEY}"


async def test_a_key_that_cannot_be_sent_is_refused_before_anybody_is_asked() -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as http:
        found = await check_key(http, ANTHROPIC, "https://gateway.example", "sk-ключ\nx")
    assert (found.verdict, "ключ" in found.said) == ("refused", False)


def test_each_agent_that_follows_a_model_has_the_account_of_its_api() -> None:
    accounts = {"messages": ANTHROPIC, "responses": OPENAI, "chat": OPENAI}
    spoken = {row.definition.kind: accounts[row.definition.api] for row in AGENTS if row.definition is not None}
    assert spoken == ACCOUNT_OF
    assert set(AgentKind) - set(ACCOUNT_OF) == {AgentKind.SCRIPTED}
