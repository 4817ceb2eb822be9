"""A turn whose commits could not be taken leaves nothing of itself to the next one but what was wrong."""

from typing import Any, cast

from temporalio.testing import ActivityEnvironment

from activities.engineering import EngineeringNodes, EngineeringState
from contracts.agent_workers import SendMessageCommand, SendMessageResponse
from contracts.errors import ErrorCode

BEFORE = {
    "task_id": "t", "worker_id": "t", "prompt": "Go on.", "turn_timeout_s": 60, "turn": 1, "agent": "codex",
    "fresh_session": True, "asked_prompt": "Build it.", "limit": None, "question": "Which?", "choices": ["a"],
}  # fmt: skip


class Refusing:
    async def send_message(self, command: SendMessageCommand) -> SendMessageResponse:
        return SendMessageResponse(
            request_id=command.request_id,
            success=False,
            error="It is not a descendant.",
            error_code=ErrorCode.REPOSITORY_DIVERGED,
        )


async def test_the_turn_after_it_goes_on_in_the_session_and_is_asked_for_itself() -> None:
    nodes = EngineeringNodes(cast(Any, Refusing()), *(cast(Any, None),) * 4)
    found = await ActivityEnvironment().run(nodes.develop, cast(EngineeringState, BEFORE))
    assert found["turn_status"] == "refused"
    state = {**BEFORE, **found}
    assert (state["fresh_session"], state["asked_prompt"], state["question"], state["choices"]) == (False, "", None, [])
