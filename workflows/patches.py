"""Named wrappers of `workflow.patched`, each with the reason and the condition of its retirement.

A change of the commands of a workflow adds one here, keeps the old path until no run of the old code can be open,
and adds a golden history of the new path; `docs/decisions/` says why.
"""

from temporalio import workflow


def limits_park() -> bool:
    """A turn that a model's limit has stopped parks the task; before, a person was asked as after any failed turn.

    Asked only after such a turn. Retires with the runs that were open then.
    """
    return workflow.patched("limits-park-2026-11-30")


def given_up_is_stopped() -> bool:
    """A turn that is given up, because following it has failed too often, is stopped with its token; before, its agent
    could go on, and spend.

    Asked only after such a turn. Retires with the agent workers that were open then.
    """
    return workflow.patched("given-up-turn-is-stopped-2026-12-01")


def agents_choices_are_its_own() -> bool:
    """An answer that an agent has offered itself goes to the agent, even if it is one of the platform's words; before,
    `accept` published what nobody had tested, and `stop` ended the task.

    Asked only for such an answer. Retires with the runs that had got one.
    """
    return workflow.patched("agents-choices-are-its-own-2026-12-01")


def taken_is_what_was_seen() -> bool:
    """Work that a person takes as it is and that then misses something else, as after main has moved, is asked about
    again; before, it was published.

    Asked only for such work. Retires with the runs that had published it.
    """
    return workflow.patched("taken-is-what-was-seen-2026-12-01")


def judges_end_with_their_task() -> bool:
    """A task or delivery that fails, is stopped or cancelled stops who plans, divides, writes checks and reviews with a
    model; before, one whose Temporal worker had died went on and was paid, and its folder was left.

    Asked only at such an end. Retires with the runs that ended so before.
    """
    return workflow.patched("judges-end-with-their-task-2026-12-01")


def ended_stays_ended() -> bool:
    """A delivery, or engineering, whose task has ended in an earlier run does nothing; before, it did everything again.

    Asked only in such a run. Retires with the runs of the old form: each was started by hand, again under the id of one
    that had ended.
    """
    return workflow.patched("ended-stays-ended-2026-11-30")


def refused_is_told_again() -> bool:
    """A projection that the API refuses is sent again in its barest form, if the task would stay open without it.

    Retires with the runs that had a projection refused before: they ended right after that.
    """
    return workflow.patched("refused-projection-is-told-again-2026-11-29")


def queued_is_seen() -> bool:
    """A deploy that waits has a task row from the beginning; before, it appeared when its turn came.

    Nothing has been released with the old form. It stays, with a history of each form, until a released version needs a
    patch of its own: so it is known that patches work.
    """
    return workflow.patched("queued-deploy-is-seen-2026-11-20")
