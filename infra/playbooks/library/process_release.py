"""Ansible module: one step of a release on the server that it runs on. Running a step again changes nothing."""

from ansible.module_utils.basic import AnsibleModule

from activities.adapters import release_steps
from contracts.errors import OrchestratorError

DOCUMENTATION = r"""
module: process_release
short_description: One step of putting a release on this server
options:
  order:
    description: File with the order, written by the platform with mode 0600.
    type: path
    required: true
  step:
    description: Which step to do.
    choices: [checkout, install, environment, candidate, switch]
    required: true
"""


def main() -> None:
    steps = sorted(release_steps.STEPS)
    module = AnsibleModule(
        argument_spec={
            "order": {"type": "path", "required": True},
            "step": {"type": "str", "required": True, "choices": steps},
        }
    )
    try:
        changed = release_steps.run(module.params["step"], module.params["order"])
    except OrchestratorError as error:
        module.fail_json(msg=error.message, code=error.code.value, error_class=error.error_class.value)
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
