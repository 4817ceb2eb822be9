"""The first line of a commit: what it changes, compared with the last one, so that a repeated turn says the same."""

from collections.abc import Sequence

from . import commands, project, secret_status
from .plan import Plan
from .workspace import Workspace

MOST_SIGNS = 72


def subject(workspace: Workspace, plan: Plan, secrets: Sequence[str]) -> str:
    """`Add films; add rating to books; remove /hello`: what is new, what has changed, what is gone. `secrets` are those
    that the turn was told to need, besides those of the plan.
    """
    said = _of_things(workspace, plan) + _of_commands(workspace, plan)
    said += [f"remove {', '.join(plan.gone)}"] if plan.gone else []
    asked = secret_status.missing(workspace.committed(secret_status.CONTRACT) or "", [*plan.secrets, *secrets])
    said += [f"ask for the secret {name}" for name in asked]
    text = "; ".join(said) or "follow the task"
    text = text[0].upper() + text[1:]
    return text if len(text) <= MOST_SIGNS else text[: MOST_SIGNS - 1] + "…"


def _of_things(workspace: Workspace, plan: Plan) -> list[str]:
    said, new = [], []
    for one in plan.entities:
        before = project.entity(workspace, one.singular)
        if before is None:
            new.append(one.path)
            continue
        had, has = ([field.name for field in thing.fields] for thing in (before, one))
        if added := [name for name in has if name not in had]:
            said.append(f"add {', '.join(added)} to {one.path}")
        if removed := [name for name in had if name not in has]:
            said.append(f"remove {', '.join(removed)} from {one.path}")
    return [f"add {', '.join(new)}", *said] if new else said


def _of_commands(workspace: Workspace, plan: Plan) -> list[str]:
    new, changed = [], []
    for one in plan.commands:
        before = workspace.committed(commands.paths(one.name)[0])
        if before is None:
            new.append(f"/{one.name}")
        elif before.strip() != commands.handler(one).strip():
            changed.append(f"/{one.name}")
    said = [f"add {', '.join(new)}"] if new else []
    return [*said, f"change the answer of {', '.join(changed)}"] if changed else said
