"""Pure decisions about a review: whether there is one, and what becomes of what it finds."""

from collections.abc import Mapping
from typing import Any

from contracts.base import MAX_TEXT
from contracts.departments import EngineeringMessage
from contracts.errors import bounded
from contracts.planning import Judge, ReviewStop
from contracts.questions import OwnQuestion, QuestionWording
from contracts.reviews import Review
from contracts.states import AgentKind, ReviewMode
from workflows import rules
from workflows.graphs import acceptance_rules

State = Mapping[str, Any]


def first_state(message: EngineeringMessage) -> dict[str, Any]:
    """What the review needs to know; nothing where there is none, as in messages of older builds."""
    if message.review is ReviewMode.OFF or "review" in message.skip:
        return {}
    return {
        "review": message.review.value,
        "reviewer": (message.reviewer or message.agent).value,
        "review_model": message.review_model,
        "user_id": message.user_id,
        "spec": rules.spec_of(message).model_dump(mode="json"),
    }


def stopping(message: EngineeringMessage, state: State) -> ReviewStop:
    """Whatever review runs: its number follows from how many there were."""
    agent = AgentKind(state.get("reviewer") or message.reviewer or message.agent)
    attempt = int(state.get("judging") or 0)
    judge = Judge(task_id=message.task_id, project_id=message.project_id, agent=agent, attempt=attempt)
    return ReviewStop(judge=judge, number=min(100, int(state.get("reviews", 0)) + 1))


def after_green(state: State) -> str:
    """Where a commit goes whose tests are green. What was only put on top of a main that has moved is read already;
    a commit with which the agent stays after an objection goes to a person.
    """
    if state.get("review", ReviewMode.OFF) == ReviewMode.OFF:
        return after_reading(state)
    if _stands(state):
        return "ask"
    known = reviewed(state)
    moved = state.get("publish_status") == "rebased" and known is not None
    same = known is not None and known.commit == state.get("commit") and not known.problem
    return after_reading(state) if moved or same else "review"


def after_reading(state: State) -> str:
    return "accept" if acceptance_rules.is_checked(state) else "publish"


def after_review(state: State) -> str:
    """On, back to the agent once, or to a person: for a second objection, or when nobody could review."""
    if not _stands(state):
        return after_reading(state)
    again = int(state.get("objections", 0)) > 1 or int(state.get("round", 0)) >= int(state.get("max_rounds", 3))
    return "ask" if again or is_missing(state) else "develop"


def is_asked(state: State) -> bool:
    """Whether the last thing that was found out is what the review says of this commit, and that this counts."""
    found_out = state.get("tested") and state.get("passed") and state.get("turn_status", "done") == "done"
    return bool(found_out) and state.get("publish_status") != "conflict" and _stands(state)


def is_missing(state: State) -> bool:
    """Whether nobody could review."""
    known = reviewed(state)
    return known is not None and bool(known.problem)


def after_answer(state: State, answer: str) -> dict[str, Any]:
    """What a person's answer to a question about a review makes of it. `then`: where the work goes on."""
    said = answer.strip().lower()
    if said == rules.AS_IS:
        return {"review_taken": state.get("commit"), "then": after_reading(state), "taken_as_is": False}
    retried = is_missing(state) and said == rules.RETRY
    return {"then": "review" if retried else "", "taken_as_is": False, "objections": 0}


def objections_prompt(state: State) -> str:
    """The message of a turn after a review with objections."""
    review = reviewed(state)
    return bounded(
        "The project's own checks are green, but somebody who has read your change objects to it. Look at each point: "
        "repair what is right about it and extend the project's own checks by it, run `make check test` again and "
        "commit. If a point is wrong, say so in your summary, and leave the code as it is."
        f"\n\n## Review\n{review.told() if review else ''}",
        MAX_TEXT,
    )


def question(state: State) -> tuple[str, list[str], QuestionWording]:
    """What a person is asked about objections, or about a review that could not be had."""
    review = Review.model_validate(state["reviewed"])
    said = review.told(2_900)
    name = OwnQuestion.NOT_REVIEWED if review.problem else OwnQuestion.OBJECTIONS
    head = "The tests are green, but the change is to be reviewed and was not" if review.problem else (
        "The tests are green, but the reviewer objects to the change"
    )  # fmt: skip
    text = f"{head}:\n\n{said}\n\nTry again (you may add advice), take it as it is ({rules.AS_IS}), or stop?"
    return text, [rules.RETRY, rules.AS_IS, rules.STOP], QuestionWording(name=name.value, fields={"review": said})


def reviewed(state: State) -> Review | None:
    """The newest review; None where there was none."""
    found = state.get("reviewed")
    return Review.model_validate(found) if found else None


def _stands(state: State) -> bool:
    """Whether something speaks against the commit, as far as the review goes, that nobody has overruled."""
    review = reviewed(state)
    if review is None or state.get("review") != ReviewMode.BINDING or review.commit != state.get("commit"):
        return False
    return bool(review.blockers or review.problem) and state.get("review_taken") != review.commit
