"""What the heartbeat of a turn says of it, whatever else may stand there."""

import pytest

from runtime.temporal.agent_workers import RunningTurn


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ([], RunningTurn()),
        ([17], RunningTurn(offset=17)),
        ([17, {"container": "turn-w-1", "session": "s", "cost_usd": 0.5}], RunningTurn(
            offset=17, container="turn-w-1", session_id="s", cost_usd=0.5
        )),
        (["x", {"container": 5, "cost_usd": "much"}], RunningTurn()),
    ],
)  # fmt: skip
def test_what_is_known_is_shown_and_nothing_else(details: list[object], told: RunningTurn) -> None:
    assert RunningTurn.of(details) == told
