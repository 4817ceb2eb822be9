"""What an agent is told besides its message, and what people are told of its turns. Pure."""

from contracts.base import MAX_TEXT
from contracts.errors import bounded
from contracts.worker_steps import PUSHED, TakenUp

NOT_STEERED = "This agent takes no messages while it works. Send it as a message: it begins the next turn."
STOPPED = "The turn was stopped. Its files stay as they are; the next message goes on in the same session."
_LEAST_ROOM = 300
_MAX_NEWS = 4_000


def with_news(message: str, taken: TakenUp | None, branch: str) -> str:
    """The message, and below it what others have pushed to the work branch since the last turn."""
    room = min(_MAX_NEWS, MAX_TEXT - len(message) - 2)
    if taken is None or taken.state == "same" or room < _LEAST_ROOM:
        return message
    return f"{message}\n\n{bounded(_news(taken, branch), room)}"


def _news(taken: TakenUp, branch: str) -> str:
    files = "\n".join(f"- {name}" for name in taken.files[:50])
    heading = "## Pushed since your last turn\n\n"
    if taken.state == "taken":
        return (
            f"{heading}Others have pushed to {branch} (a person, or the platform what the main branch had). It is in "
            f"your workspace now; it changed:\n{files}"
        )
    return (
        f"{heading}Others have pushed to {branch}, and it does not fit what is in your workspace. Before anything "
        f"else, merge {PUSHED} into your branch, resolve the conflicts and commit. In the way:\n{files}"
    )


def branch_moved(taken: TakenUp, branch: str) -> str:
    """Why the commits of a turn were not pushed: evidence for the next turn, and for people."""
    files = ", ".join(taken.files[:20])
    return (
        f"While the agent worked, a person has pushed to {branch}, and it does not fit what the agent has committed "
        f"({files or 'reason unknown'}). Nothing was overwritten. The next turn begins with merging it."
    )
