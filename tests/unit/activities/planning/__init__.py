"""Plans and checks; who asks for them."""

from activities.ports import Follow
from contracts.planning import Judge
from contracts.progress import FineEvent

JUDGE = Judge(task_id="t", project_id="p")


async def _nobody(events: list[FineEvent], offset: int) -> None:
    """Nobody follows."""


FOLLOW = Follow(offset=0, report=_nobody)
