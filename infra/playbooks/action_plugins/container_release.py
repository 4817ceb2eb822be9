"""Ansible action `container_release`: one step of a release on a server with an engine. Repeating it changes nothing.

The order and what belongs to it go to the release program over its standard input: nothing is in an argument or a
temporary file of the server.
"""

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from activities.adapters.playbooks.release_kit import NOT_THERE, release_kit
from activities.adapters.release.build_context import build_context
from contracts.errors import OrchestratorError

STEPS = ["checkout", "build", "environment", "candidate", "switch"]


class ActionModule(ActionBase):
    """Arguments: `order`, the order file that the platform wrote with mode 0600, and `step`, which step to do."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "order": {"type": "path", "required": True},
                "step": {"type": "str", "required": True, "choices": STEPS},
            }
        )
        order = json.loads(Path(arguments["order"]).read_text())
        try:
            given = self._input(order, arguments["step"])
        except OrchestratorError as error:
            return result | {"failed": True, "msg": error.message, "code": error.code.value}
        return result | self._answer(given)

    def _input(self, order: dict[str, Any], step: str) -> bytes:
        sent, archive = order["sent"] | {"step": step}, b""
        if step == "environment":
            sent["environment"] = json.loads(Path(order["environment_file"]).read_text())
        if step == "checkout":
            registry = json.loads(Path(order["registry_file"]).read_text())
            archive = build_context(Path(order["git_dir"]), sent["commit"], registry)
        return json.dumps(sent).encode() + b"\n" + archive

    def _answer(self, given: bytes) -> dict[str, Any]:
        kit = release_kit()
        reply = self._low_level_execute_command(kit.command, in_data=given)
        if reply["rc"] == NOT_THERE:
            put = self._low_level_execute_command(kit.upload, in_data=kit.content)
            if put["rc"] != 0:
                raise AnsibleActionFail(f"The release program cannot be put on the server: {put['stderr'][-500:]}")
            reply = self._low_level_execute_command(kit.command, in_data=given)
        if reply["rc"] != 0:
            raise AnsibleActionFail(f"The release program ended with {reply['rc']}: {reply['stderr'][-1000:]}")
        answer: dict[str, Any] = json.loads(reply["stdout"])
        return answer
