"""Named wrappers of `workflow.patched`, each with the reason and the condition of its retirement.

There is none yet. A change of the commands of a workflow adds one here, keeps the old path until no run of the
old code can be open, and adds a golden history of the new path; `docs/decisions/` says why.
"""
