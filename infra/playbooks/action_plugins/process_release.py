"""Ansible action `process_release`: one step of a release on this machine. Running a step again changes nothing.

An action and not a module: the embedded target is this machine, and an action needs no interpreter of its own,
which saves half a second for each task.
"""

from typing import Any

from ansible.plugins.action import ActionBase

from activities.adapters.release import process_steps as release_steps
from contracts.errors import OrchestratorError


class ActionModule(ActionBase):
    """Arguments: `order`, the order file that the platform wrote with mode 0600, and `step`, which step to do."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "order": {"type": "path", "required": True},
                "step": {"type": "str", "required": True, "choices": sorted(release_steps.STEPS)},
            }
        )
        try:
            result["changed"] = release_steps.run(arguments["step"], arguments["order"])
        except OrchestratorError as error:
            result.update(failed=True, msg=error.message, code=error.code.value)
        return result
