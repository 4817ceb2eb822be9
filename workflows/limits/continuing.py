"""Going on where an earlier attempt has ended, and leaving behind what a later one needs: pure."""

from typing import Any

from activities.engineering import figures_of
from contracts import ids
from contracts.departments import DeliveryMessage, EngineeringMessage, EngineeringResult
from contracts.retries import Facts, WorkDone, facts_of
from contracts.states import ResultStatus
from contracts.steps import ScaffoldResult


def branch(message: EngineeringMessage) -> str:
    """Where the work is: a retry goes on with the branch of the first attempt."""
    return message.done.branch if message.done else ids.work_branch(message.task_id)


def scaffolded(message: EngineeringMessage) -> ScaffoldResult | None:
    """The project as an earlier attempt has set it up; None when that is still to do."""
    done = message.done
    if done is None or done.base_commit is None:
        return None
    return ScaffoldResult.model_validate(
        {
            "repo_full_name": message.repository,
            "commit": done.base_commit,
            "template_version": "",
            "adopted": True,
        }
    )


def first_state(message: EngineeringMessage) -> dict[str, Any]:
    """What the graph knows from an earlier attempt. With advice the agent is asked first, whatever is committed."""
    state: dict[str, Any] = {}
    if message.model:
        state["model"] = message.model
    if message.advice:
        state["advice"] = message.advice
    done = message.done
    if done is None:
        return state
    state |= {"goes_on": done.commit is not None, "summary": done.summary}
    state["criteria"] = [one.model_dump(mode="json") for one in done.criteria]
    if done.plan_of and not message.advice:
        # Advice may change what is wanted.
        state |= {"plan_of": done.plan_of, "approved_plan": done.approved_plan or ""}
    if done.commit and not message.advice:
        state |= {"commit": done.commit, "tested": done.tested, "passed": done.verified}
        if done.figures:
            state["figures"] = done.figures.model_dump(mode="json")
    if done.commit and done.tested and not done.verified:
        state["verified_base"] = done.commit
    return state


def green_at(node: str, state: dict[str, Any]) -> str:
    """The commit that is known to be green as a node begins; empty if none is. Before `verify` nothing is known."""
    known = node != "verify" and state.get("tested") and state.get("passed")
    return str(state.get("commit") or "") if known else ""


def left_behind(message: EngineeringMessage, state: dict[str, Any], green: str) -> Facts:
    """What a retry need not do again. `green` is the last commit at which the checks were green."""
    before = message.done
    if not state:
        return facts_of(before) if before else {}
    earlier = before.commit if before else None
    reached = str(state.get("commit") or "") or earlier
    own = reached != state["base_commit"] and (reached != state.get("begun_at") or reached == earlier)
    commit = reached if reached and own else None
    verified = commit is not None and commit == green
    red = commit is not None and commit == state.get("verified_base")
    figures = figures_of(state) if verified else None
    return facts_of(
        WorkDone(
            task_id=message.task_id,
            branch=str(state["branch"]),
            base_commit=state["base_commit"],
            commit=commit,
            tested=verified or red,
            verified=verified,
            plan_of=message.task_id if state.get("plan_hash") else (before.plan_of if before else None),
            approved_plan=str(state.get("approved_plan") or "") or None,
            tests=figures.executed if figures else None,
            lines_covered_permille=figures.lines_covered_permille if figures else None,
        )
    )


def told(message: EngineeringMessage) -> str:
    """What people read instead of the steps that are done."""
    done = message.done
    if done is None:
        return ""
    kept = ["The project is set up"]
    if done.commit:
        kept.append(f"commit {done.commit[:12]} is there")
    if done.verified:
        kept.append("its checks are green")
    return f"Going on where {done.task_id} ended. {', '.join(kept)}."


def stopped(message: EngineeringMessage) -> str:
    """How a task ends that a person has stopped at a limit."""
    known = message.parent_task_id or message.task_id
    return (
        f"Stopped at a limit. What was committed is kept on the branch {branch(message)}; "
        f"`orchestrator task retry {known}` goes on from there."
    )


def told_of_built(built: EngineeringResult) -> str:
    return f"Commit {str(built.commit_sha)[:12]} of the earlier attempt is on main already; nothing is built again."


def built(message: DeliveryMessage) -> EngineeringResult | None:
    """The result of an earlier attempt's engineering, whose commit main has; None when there is work to do."""
    return _result(f"{message.request_id}/engineering", message.done)


def parts_built(message: DeliveryMessage) -> list[tuple[int, str, EngineeringResult]]:
    """Number, task and result of each part that an earlier attempt has brought to main."""
    found = ((one, _result(one.done.task_id, one.done)) for one in message.parts_done)
    return [(one.number, one.done.task_id, result) for one, result in found if result is not None]


def _result(request_id: str, done: WorkDone | None) -> EngineeringResult | None:
    if done is None or not done.published or done.commit is None:
        return None
    return EngineeringResult(
        request_id=request_id,
        status=ResultStatus.SUCCESS,
        commit_sha=done.commit,
        branch=done.branch,
        summary=done.summary,
        criteria=done.criteria,
        figures=done.figures,
    )
