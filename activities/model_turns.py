"""What activities share about turns with a model: how a token ends, and what a limit does to a turn that judges."""

from typing import Any, Protocol

from contracts.errors import ErrorCode, OrchestratorError
from contracts.models import ModelLimit, ModelSpending


class AtLimit(Exception):
    """A planner or a writer of checks could not do its work, because of a limit of its model.

    Never leaves an activity: the graph parks, and the step is done again when it may.
    """

    def __init__(self, limit: ModelLimit) -> None:
        super().__init__(limit.message)
        self.limit = limit


class TurnTokens(Protocol):
    """The part of the platform that ends turns at the model proxy."""

    async def end_model_turn(self, worker_id: str, turn: int) -> ModelSpending: ...


async def end_token(platform: TurnTokens, worker_id: str, turn: int) -> None:
    """From now on the token of this turn opens nothing; a turn that was never opened has none."""
    try:
        await platform.end_model_turn(worker_id, turn)
    except OrchestratorError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise


def parked(step: str, attempts: int, limit: ModelLimit) -> dict[str, Any]:
    """What the graph knows of a step that waits for its model. `attempts`: how often it has begun, this one included;
    each has turns of its own.
    """
    return {"limit": limit.model_dump(mode="json"), "parked_at": step, "judging": attempts}
