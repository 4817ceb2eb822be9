"""A person's own log-in: off by default, at a terminal only, for agents that have one."""

import pytest

from cli.host import agent_login
from contracts.agent_logins import LOGINS, PLACE, login_of
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentKind
from runtime.settings import Settings


def test_it_is_off_until_the_operator_has_allowed_it() -> None:
    with pytest.raises(OrchestratorError) as refused:
        agent_login._check(Settings())
    assert refused.value.code is ErrorCode.NOT_ALLOWED
    assert "ORCHESTRATOR_AGENT_LOGINS=true" in refused.value.message


def test_without_a_terminal_nobody_could_log_in() -> None:
    with pytest.raises(OrchestratorError) as refused:
        agent_login._check(Settings(agent_logins=True))
    assert "terminal" in refused.value.message


@pytest.mark.parametrize("kind", [AgentKind.SCRIPTED, AgentKind.OPENCODE])
def test_agents_without_a_log_in_of_their_own_are_named(kind: AgentKind) -> None:
    with pytest.raises(OrchestratorError) as refused:
        login_of(kind)
    assert "claude-code" in refused.value.message


@pytest.mark.parametrize("kind", LOGINS)
def test_a_log_in_is_kept_in_its_volume_and_reaches_one_vendor(kind: AgentKind) -> None:
    login = login_of(kind)
    assert PLACE in login.environment.values()
    assert "*" not in login.hosts
