"""The node of the engineering graph in which another agent than the one that wrote it reads the change.

It knows the task and the diff. What becomes of its findings is decided by the graph.
"""

from dataclasses import dataclass
from typing import cast

from temporalio import activity

from activities.engineering import EngineeringState
from activities.following import followed, or_stop, to_the_end
from activities.model_turns import AtLimit, parked
from activities.ports import Platform, Reviewer
from contracts.names import ActivityName
from contracts.planning import Judge, ReviewRequest, ReviewStop
from contracts.project_spec import ProjectSpec
from contracts.reviews import Review
from contracts.states import AgentKind
from contracts.steps import Done


@dataclass(frozen=True)
class ReviewNodes:
    reviewer: Reviewer
    platform: Platform

    async def review(self, state: EngineeringState) -> EngineeringState:
        """Have the change of the commit read; a second run gets the first one's review."""
        request = _request(state)
        reading = followed(self.platform, state["task_id"], lambda follow: self.reviewer.review(request, follow))
        try:
            found = await or_stop(reading, lambda: self.reviewer.stop(request.judge, request.number))
        except AtLimit as reached:
            return cast(EngineeringState, parked("review", state.get("judging", 0) + 1, reached.limit))
        return after(state, found)

    @activity.defn(name=ActivityName.REVIEW_STOP)
    async def stop_review(self, stopping: ReviewStop) -> Done:
        """Stop a review that is no longer followed; a second run finds it stopped."""
        await to_the_end(self.reviewer.stop(stopping.judge, stopping.number))
        return Done()


def after(state: EngineeringState, found: Review) -> EngineeringState:
    """What the graph knows afterwards: the review, and how many in a row have objected."""
    return {
        "parked_at": "",
        "reviews": state.get("reviews", 0) + 1,
        "reviewed": found.model_copy(update={"is_authors": _wrote(state, found.agent)}).model_dump(mode="json"),
        "objections": state.get("objections", 0) + 1 if found.blockers else 0,
    }


def _wrote(state: EngineeringState, reader: AgentKind) -> bool:
    """Whether the Developer of now is the agent that has read the change, with the same model as far as is known."""
    author = state.get("agent") or state.get("judge")
    return author == reader.value and state.get("model") == state.get("review_model")


def _request(state: EngineeringState) -> ReviewRequest:
    return ReviewRequest(
        judge=Judge(
            task_id=state["task_id"],
            project_id=state["project_id"],
            user_id=state.get("user_id"),
            agent=AgentKind(state.get("reviewer") or AgentKind.SCRIPTED),
            model=state.get("review_model"),
            timeout_s=state["turn_timeout_s"],
            attempt=state.get("judging", 0),
        ),
        spec=ProjectSpec.model_validate(state["spec"]),
        repository=state["repository"],
        commit=state["commit"],
        number=min(100, state.get("reviews", 0) + 1),
    )
