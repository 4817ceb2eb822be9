"""What the platform makes of the lines that a server sends in answer to an order."""

import pytest

from activities.adapters.playbooks.conversation import conversation
from activities.adapters.release.order import Order

ORDER = Order(steps=["status"], project_id="p-1", project_name="blog", services_dir="/srv")


@pytest.mark.parametrize("noise", ["Welcome to web-1", "42", '"answer"', "", "\\377"])
async def test_what_a_servers_shell_says_before_the_answer_is_passed_over(noise: str) -> None:
    program = """printf "$0\\n"; read order; echo '{"step": "x"}'; echo '{"answer": {"services": {}}}'"""
    async with conversation(["sh", "-c", program, noise]) as talk:
        assert await talk.ask(ORDER) == {"services": {}}
