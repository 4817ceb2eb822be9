"""What an answer at the public address says about a service that should be live. Pure."""

import json

import pytest

from activities.adapters.release.probe import Look, bot_link, why_not_live


def answer(**body: object) -> Look:
    return Look(True, 200, text=json.dumps(body, separators=(",", ":")))


@pytest.mark.parametrize("body", [{"status": "ok"}, {"polling": True}, {"polling": None}, {"polling": "false"}])
def test_a_good_answer_is_live(body: dict[str, object]) -> None:
    assert why_not_live(answer(**body), "") is None


def test_a_bot_that_does_not_poll_is_not_live_and_its_token_is_named() -> None:
    why = why_not_live(answer(status="ok", polling=False), '"polling":true')
    assert "does not reach Telegram" in str(why)
    assert "token" in str(why)


def test_a_body_without_what_it_must_hold_once_live_is_not_live() -> None:
    assert "without" in str(why_not_live(answer(status="ok"), "ready"))


def test_a_wrong_answer_keeps_its_reason() -> None:
    assert why_not_live(Look(False, 500, "/health answered 500 instead of 200"), "x") == (
        "/health answered 500 instead of 200"
    )


@pytest.mark.parametrize("name", ["demo_bot", "Ab1_", "A" * 32])
def test_the_link_of_a_bot_is_its_name_at_telegram(name: str) -> None:
    assert bot_link(json.dumps({"bot": name})) == f"https://t.me/{name}"


@pytest.mark.parametrize(
    "name", [None, "", "abc", "A" * 33, "a/../evil", "bot?x=1", "имя_бота", "1abcd", 7, ["demo_bot"], "a\nbcde"]
)
def test_a_name_that_telegram_would_not_give_is_no_link(name: object) -> None:
    assert bot_link(json.dumps({"bot": name})) is None


@pytest.mark.parametrize("text", ["", "fine", "[1]", "[" * 60_000, '{"bot":'])
def test_a_body_that_is_no_document_has_no_link(text: str) -> None:
    assert bot_link(text) is None
