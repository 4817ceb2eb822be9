"""The container in which a person logs an agent in."""

import pytest

from contracts.agent_logins import LOGINS, PLACE
from contracts.states import AgentKind
from workers.agent_login import login_command


@pytest.mark.parametrize("kind", LOGINS)
def test_it_has_the_volume_and_nothing_of_the_platform(kind: AgentKind) -> None:
    command = login_command("image", "login-7-x", kind)
    assert command[:4] == ["docker", "run", "--interactive", "--tty"]
    mounted = [command[place + 1] for place, word in enumerate(command) if word == "--volume"]
    assert mounted == [f"login-7-x:{PLACE}", "gateway-login-7-x:/gateway:ro"]
    assert command[command.index("--cap-drop") :][:2] == ["--cap-drop", "ALL"]
    assert command[command.index("--network") :][:2] == ["--network", "none"], "the vendor by the gateway, nothing else"
    assert "no-new-privileges" in command
    program = list(LOGINS[kind].program)
    assert command[-len(program) :] == program
