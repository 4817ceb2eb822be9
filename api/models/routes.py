"""Turns at the model proxy, for the platform's own processes: what one may spend, has spent, and what stops it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.audit.trail import Act, audited
from api.auth import platform_only
from api.database import Session
from api.models import estimates, raising, spending, turns
from api.settings.defaults import DefaultsDep
from api.vault import VaultDep
from contracts.base import Identifier
from contracts.costs import CostEstimate, CostEstimateRequest
from contracts.models import ModelBudget, ModelSpending, ModelTurn, OpenModelTurn, RaiseModelBudget

router = APIRouter(prefix="/internal", tags=["internal"], dependencies=[Depends(platform_only)])

WorkerId = Annotated[Identifier, Path()]
Turn = Annotated[int, Path(ge=1, le=2**31)]


@router.post("/model-turns")
async def open_model_turn(body: OpenModelTurn, session: Session, vault: VaultDep, defaults: DefaultsDep) -> ModelTurn:
    """A turn's token and models. The same (worker_id, turn) gets the same token again."""
    return await turns.open_turn(session, vault, body, defaults)


@router.get("/model-turns/{worker_id}/{turn}")
async def model_spending(worker_id: WorkerId, turn: Turn, session: Session, defaults: DefaultsDep) -> ModelSpending:
    """What the turn has spent so far, and what has stopped it."""
    return await spending.spending(session, await turns.find(session, worker_id, turn), defaults)


@router.post("/model-turns/{worker_id}/{turn}/end")
async def end_model_turn(worker_id: WorkerId, turn: Turn, session: Session, defaults: DefaultsDep) -> ModelSpending:
    """From now on the turn's token opens nothing; a repetition changes nothing."""
    return await spending.spending(session, await turns.end_turn(session, worker_id, turn), defaults)


@router.post("/model-budgets")
async def raise_model_budget(
    act: Annotated[Act, audited("model_budget.raise")], body: RaiseModelBudget, session: Session, defaults: DefaultsDep
) -> ModelBudget:
    """Raise a budget, as a person has answered; the same request id raises it once."""
    act.on(body.scope, body.scope_id)
    act.tell(add_usd=body.add_usd, by=body.by)
    return await raising.raise_budget(session, body, defaults)


@router.post("/cost-estimates")
async def estimate_cost(body: CostEstimateRequest, session: Session) -> CostEstimate:
    """What a task will probably cost, by earlier ones; a repetition returns the first estimate."""
    return await estimates.estimate(session, body)
