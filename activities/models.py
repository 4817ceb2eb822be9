"""Budgets of models, on behalf of the person who has answered."""

from dataclasses import dataclass

from temporalio import activity

from activities.ports import Platform
from contracts.models import ModelBudget, RaiseModelBudget
from contracts.names import ActivityName


@dataclass(frozen=True)
class ModelActivities:
    platform: Platform

    @activity.defn(name=ActivityName.MODEL_BUDGET_RAISE)
    async def raise_budget(self, request: RaiseModelBudget) -> ModelBudget:
        """Raise a budget; a second run finds it raised, by its request id."""
        return await self.platform.raise_model_budget(request)
