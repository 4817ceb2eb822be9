"""An operator's own gateway in the vendors' place: below a path of its own, with the key that it wants."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.settings import Settings
from tests.integration.api.models.conftest import KEYS, modelled
from tests.support.vendor import message_events, vendor


async def test_requests_go_to_the_gateway_below_its_path_with_the_operators_key(tmp_path: Path) -> None:
    async with (
        vendor() as gateway,
        modelled(
            tmp_path, anthropic_base_url=f"{gateway.url}/llm/anthropic/", openai_base_url=f"{gateway.url}/llm/openai/v1"
        ) as world,
    ):
        gateway.stream(message_events("claude-opus-5-5", 1000, 100))
        turn = await world.turn()
        assert (await turn.ask()).status_code == 200
        assert (await turn.ask("/v1/responses", "gpt-6.1-sol")).status_code == 200
        asked = [(one.path, one.headers.get("x-api-key"), one.headers.get("authorization")) for one in gateway.asked]
        assert asked == [
            ("/llm/anthropic/v1/messages", KEYS["anthropic_api_key"], None),
            ("/llm/openai/v1/responses", None, f"Bearer {KEYS['openai_api_key']}"),
        ]
        assert world.vendor.asked == [], "nothing goes past it"
        accounts = (await world.http.get("/health")).json()["accounts"]
        assert accounts["anthropic"]["base_url"] == f"{gateway.url}/llm/anthropic"


@pytest.mark.parametrize(
    "url", ["ftp://gateway.example", "https://user:secret@gateway.example", "https://gateway.example/v1?key=secret", ""]
)
def test_an_address_that_is_none_or_has_a_secret_in_it_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(anthropic_base_url=url)
    assert "secret" not in str(refused.value)
