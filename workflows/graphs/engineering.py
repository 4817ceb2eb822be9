"""Topology of the engineering graph: plan -> (specify -> approve) -> develop -> verify -> (review) -> (accept) ->
publish, with a person beside it.

A turn that a model's limit stops, or is known to stop, parks first; so do who plans, writes checks or reviews.

Graph and node names are wire names. Edges and routers run in the workflow and are coroutines on purpose: a
synchronous router would need a thread, which workflow code has not. What is in brackets is left out where the message
asks for no acceptance or no review, as those of older builds do.
"""

from collections.abc import Sequence
from typing import cast

from langgraph.graph import END, START
from langgraph.types import interrupt

from activities.acceptance import AcceptanceNodes
from activities.engineering import EngineeringNodes, EngineeringState
from activities.review import ReviewNodes
from workflows import options, patches, rules
from workflows.graphs import acceptance_rules, review_rules
from workflows.graphs.topology import Topology
from workflows.limits import resuming

_IN_WORKFLOW = {"execute_in": "workflow"}


async def plan(state: EngineeringState) -> EngineeringState:
    """What the Developer is told first."""
    return {"prompt": rules.first_prompt(dict(state)), "round": 0, "turn": 0}


async def approve(state: EngineeringState) -> EngineeringState:
    """Tell the Developer what is checked afterwards, once a person has approved it if the settings say so."""
    prompt = acceptance_rules.first_prompt(state)
    if not acceptance_rules.asks_for_approval(state) or acceptance_rules.is_approved(state):
        return {"prompt": prompt}
    answer = str(interrupt(acceptance_rules.approval(state)))
    approved = "" if rules.is_stop(answer) else state.get("plan_hash", "")
    return {"prompt": prompt, "answer": answer, "approved_plan": approved}


async def rework(state: EngineeringState) -> EngineeringState:
    """Turn the evidence, of the Tester, a reviewer, the running service or the push, into the next message."""
    if review_rules.is_asked(state):
        return {"prompt": review_rules.objections_prompt(state)}
    if state.get("turn_status") == rules.REFUSED:
        prompt = rules.restoring_prompt
    elif acceptance_rules.is_missed(state):
        prompt = acceptance_rules.unmet_prompt
    else:
        prompt = rules.repair_prompt
    return {"prompt": prompt(state.get("evidence", ""))}


async def ask(state: EngineeringState) -> EngineeringState:
    """Put the question to a person; the workflow delivers the answer."""
    about_review = review_rules.is_asked(state)
    question, choices, wording = (review_rules if about_review else acceptance_rules).question(state)
    worded = wording.model_dump(mode="json") if wording else None
    answer = str(interrupt({"question": question, "choices": choices, "wording": worded}))
    return {
        "answer": answer,
        "prompt": rules.guided_prompt(question, answer, state.get("evidence", "")),
        "round": 0,
        "fingerprint": None,
        "last_fingerprint": None,
        "unmet_fingerprint": None,
        "publish_status": "",
        "then": "",
        **_verdict(state, choices, answer),
        **cast(EngineeringState, review_rules.after_answer(state, answer) if about_review else {}),
    }


def _verdict(state: EngineeringState, choices: Sequence[str], answer: str) -> EngineeringState:
    """Whether a person takes the work as it is, or ends it. What an agent has offered is said to the agent."""
    as_is = rules.AS_IS in choices and answer.strip().lower() == rules.AS_IS
    stops, offered = rules.is_stop(answer), rules.is_agents_choice(state, answer)
    if offered and (as_is or stops) and patches.agents_choices_are_its_own():
        return {"taken_as_is": False, "stops": False}
    takes = as_is and (offered or acceptance_rules.may_be_taken(state))
    return {"taken_as_is": takes, "taken": acceptance_rules.taken(state) if takes else {}, "stops": stops}


async def park(state: EngineeringState) -> EngineeringState:
    """Wait until work may go on after a limit of a model; the workflow says how."""
    answer = interrupt(resuming.request_of(dict(state)))
    return cast(EngineeringState, resuming.after_parking(dict(state), answer))


async def after_plan(state: EngineeringState) -> str:
    """What done means, if that is asked for; else the first step that an earlier attempt has not finished."""
    return "specify" if acceptance_rules.is_planned(state) else _first_step(state)


def _first_step(state: EngineeringState) -> str:
    step = rules.first_step(dict(state))
    return review_rules.after_green(state) if step == "publish" else step


async def before_turn(state: EngineeringState) -> str:
    return "park" if resuming.parks_before_turn(dict(state)) else "develop"


async def after_park(state: EngineeringState) -> str:
    return "end" if state.get("stopped_at_limit") else resuming.step_after(state)


async def after_specify(state: EngineeringState) -> str:
    return "park" if resuming.parks_judging(state, "specify") else "approve"


async def after_turn(state: EngineeringState) -> str:
    if resuming.parks_now(dict(state)) and patches.limits_park():
        return "park"
    return rules.after_turn(dict(state))


async def after_verification(state: EngineeringState) -> str:
    found = rules.after_verification(dict(state))
    return review_rules.after_green(state) if found == "publish" else found


async def after_review(state: EngineeringState) -> str:
    return "park" if resuming.parks_judging(state, "review") else review_rules.after_review(state)


async def after_acceptance(state: EngineeringState) -> str:
    if resuming.parks_judging(state, "accept"):
        return "park"
    return acceptance_rules.after_acceptance(state)


async def after_publish(state: EngineeringState) -> str:
    return rules.after_publish(dict(state))


async def after_answer(state: EngineeringState) -> str:
    if state.get("taken_as_is"):
        return "publish"
    if state.get("then"):
        return state["then"]
    return "end" if state.get("stops") else await before_turn(state)


async def after_approval(state: EngineeringState) -> str:
    """The first step that an earlier attempt has not finished: what is green is checked against this plan."""
    if rules.is_stop(state.get("answer", "")):
        return END
    return _first_step(state)


def build_engineering_graph(nodes: EngineeringNodes, acceptance: AcceptanceNodes, review: ReviewNodes) -> Topology:
    """A fresh graph: one serves one plugin."""
    graph = Topology(EngineeringState)
    graph.add_node("plan", plan, metadata=_IN_WORKFLOW)
    graph.add_node("approve", approve, metadata=_IN_WORKFLOW)
    graph.add_node("rework", rework, metadata=_IN_WORKFLOW)
    graph.add_node("ask", ask, metadata=_IN_WORKFLOW)
    graph.add_node("park", park, metadata=_IN_WORKFLOW)
    graph.add_node("specify", acceptance.specify, metadata=options.node(options.PLANNING, "Plan: what done means"))
    graph.add_node("develop", nodes.develop, metadata=options.node(options.DEVELOP, "Developer: one turn of the agent"))
    graph.add_node("verify", nodes.verify, metadata=options.node(options.VERIFICATION, "Tester: the project's checks"))
    graph.add_node("review", review.review, metadata=options.node(options.REVIEW, "Reviewer: the change"))
    graph.add_node(
        "accept", acceptance.accept, metadata=options.node(options.ACCEPTANCE, "Acceptance: the running service")
    )
    graph.add_node("publish", nodes.publish, metadata=options.node(options.REPOSITORY, "Publish the verified commit"))
    _connect(graph)
    return graph


def _connect(graph: Topology) -> None:
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", after_plan, ["specify", "develop", "verify", "review", "publish"])
    graph.add_conditional_edges("specify", after_specify, ["approve", "park"])
    graph.add_conditional_edges("approve", after_approval, ["develop", "verify", "review", "accept", "publish", END])
    graph.add_conditional_edges("rework", before_turn, {"develop": "develop", "park": "park"})
    graph.add_conditional_edges(
        "develop", after_turn, {"verify": "verify", "develop": "rework", "ask": "ask", "park": "park"}
    )
    graph.add_conditional_edges(
        "park",
        after_park,
        {"specify": "specify", "develop": "develop", "review": "review", "accept": "accept", "end": END},
    )
    graph.add_conditional_edges(
        "verify",
        after_verification,
        {"review": "review", "accept": "accept", "publish": "publish", "develop": "rework", "ask": "ask"},
    )
    graph.add_conditional_edges(
        "review",
        after_review,
        {"accept": "accept", "publish": "publish", "develop": "rework", "ask": "ask", "park": "park"},
    )
    graph.add_conditional_edges(
        "accept", after_acceptance, {"publish": "publish", "develop": "rework", "ask": "ask", "park": "park"}
    )
    graph.add_conditional_edges("publish", after_publish, {"end": END, "verify": "verify", "ask": "ask"})
    graph.add_conditional_edges(
        "ask",
        after_answer,
        {
            "develop": "develop",
            "park": "park",
            "review": "review",
            "accept": "accept",
            "publish": "publish",
            "end": END,
        },
    )
