"""Named wrappers of `workflow.patched`, each with the reason and the condition of its retirement.

A change of the commands of a workflow adds one here, keeps the old path until no run of the old code can be open,
and adds a golden history of the new path; `docs/decisions/` says why.
"""

from temporalio import workflow


def queued_is_seen() -> bool:
    """A deploy that waits has a task row from the beginning; before, it appeared when its turn came.

    Retire when no `deploy` run that began before 2026-11-21 is open.
    """
    return workflow.patched("queued-deploy-is-seen-2026-11-20")


def waiting_is_a_stage() -> bool:
    """The search attribute `Stage` says `waiting` while a question is open, so that a saved view can show what waits
    for a person; before, it kept the stage in which the question came up.

    Retire when no `engineering` or `deploy` run that began before 2026-11-26 is open.
    """
    return workflow.patched("waiting-is-a-stage-2026-11-25")
