"""What a scripted model plays so that real agents deliver notes: the planner, the Developer, the one who writes checks.

Each is known by what the platform tells it; none of them by anything in the wish.
"""

from emulators.model.scenarios import load
from emulators.model.steps import Do, Scenario, Step

WISH = "A service that keeps notes with a title and a text"
_ROLES = {"Say what done means": "notes-plan", "You check software": "notes-checks", "Read TASK.md": "notes"}


def department(*first: Step) -> list[Scenario]:
    """Scenarios for deliveries of `WISH`, whichever agents work. `first`: what the Developer does before it begins."""
    named = load()
    before = {"notes": (*first, Step(do=Do.RUN, text="cat TASK.md AGENTS.md"))}
    return [
        Scenario(name=name, match=match, steps=(*before.get(name, ()), *named[name].steps))
        for match, name in _ROLES.items()
    ]
