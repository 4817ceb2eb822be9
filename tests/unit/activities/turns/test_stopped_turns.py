"""What is kept of a turn that was stopped."""

from activities.adapters.agents.outcome import said_by_stopped
from activities.adapters.agents.stream import StreamJson
from contracts.states import AgentKind
from contracts.steps import TurnRequest


def test_the_token_of_its_model_and_its_secrets_are_not_in_what_is_kept() -> None:
    request = TurnRequest(
        worker_id="w-1", turn=1, request_id="r", task_id="w-1", project_id="w-1", agent=AgentKind.CODEX, message="x",
        env_vars={"API_TOKEN": "very-secret-value"},
    )  # fmt: skip
    said = b'{"session_id": "s-1"}\nomt-0123456789abcdefABCDEF_- and very-secret-value\n\xff\n'
    session, kept = said_by_stopped(request, StreamJson(), said)
    assert session == "s-1"
    assert kept == b'{"session_id": "s-1"}\n[hidden] and [hidden]\n\xff\n'
