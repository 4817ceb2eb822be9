"""Topology of the engineering graph: plan -> develop -> verify -> publish, with a person beside it.

A turn that a model's limit stops, or is known to stop, parks first.

Graph and node names are wire names. Edges and routers run in the workflow and are coroutines on purpose: a
synchronous router would need a thread, which workflow code has not.
"""

from typing import cast

from langgraph.graph import END, START
from langgraph.types import interrupt

from activities.engineering import EngineeringNodes, EngineeringState
from workflows import options, patches, rules
from workflows.graphs.topology import Topology
from workflows.limits import resuming

_IN_WORKFLOW = {"execute_in": "workflow"}


async def plan(state: EngineeringState) -> EngineeringState:
    """What the Developer is told first."""
    return {"prompt": rules.first_prompt(dict(state)), "round": 0, "turn": 0}


async def rework(state: EngineeringState) -> EngineeringState:
    """Turn the evidence, of the Tester or of the push, into the next message."""
    prompt = rules.restoring_prompt if state.get("turn_status") == rules.REFUSED else rules.repair_prompt
    return {"prompt": prompt(state.get("evidence", ""))}


async def ask(state: EngineeringState) -> EngineeringState:
    """Put the question to a person; the workflow delivers the answer."""
    question, choices, wording = rules.engineering_question(dict(state))
    worded = wording.model_dump(mode="json") if wording else None
    answer = str(interrupt({"question": question, "choices": choices, "wording": worded}))
    return {
        "answer": answer,
        "prompt": rules.guided_prompt(question, answer, state.get("evidence", "")),
        "round": 0,
        "fingerprint": None,
        "last_fingerprint": None,
        "publish_status": "",
    }


async def park(state: EngineeringState) -> EngineeringState:
    """Wait until work may go on after a limit of a model; the workflow says how."""
    answer = interrupt(resuming.request_of(dict(state)))
    return cast(EngineeringState, resuming.after_parking(dict(state), answer))


async def after_plan(state: EngineeringState) -> str:
    """The first step that an earlier attempt has not finished."""
    return rules.first_step(dict(state))


async def before_turn(state: EngineeringState) -> str:
    return "park" if resuming.parks_before_turn(dict(state)) else "develop"


async def after_park(state: EngineeringState) -> str:
    return "end" if state.get("stopped_at_limit") else "develop"


async def after_turn(state: EngineeringState) -> str:
    if resuming.parks_now(dict(state)) and patches.limits_park():
        return "park"
    return rules.after_turn(dict(state))


async def after_verification(state: EngineeringState) -> str:
    return rules.after_verification(dict(state))


async def after_publish(state: EngineeringState) -> str:
    return rules.after_publish(dict(state))


async def after_answer(state: EngineeringState) -> str:
    return "end" if rules.is_stop(state.get("answer", "")) else await before_turn(state)


def build_engineering_graph(nodes: EngineeringNodes) -> Topology:
    """A fresh graph: one serves one plugin."""
    graph = Topology(EngineeringState)
    graph.add_node("plan", plan, metadata=_IN_WORKFLOW)
    graph.add_node("rework", rework, metadata=_IN_WORKFLOW)
    graph.add_node("ask", ask, metadata=_IN_WORKFLOW)
    graph.add_node("park", park, metadata=_IN_WORKFLOW)
    graph.add_node("develop", nodes.develop, metadata=options.node(options.DEVELOP, "Developer: one turn of the agent"))
    graph.add_node("verify", nodes.verify, metadata=options.node(options.VERIFICATION, "Tester: the project's checks"))
    graph.add_node("publish", nodes.publish, metadata=options.node(options.REPOSITORY, "Publish the verified commit"))
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", after_plan, {"develop": "develop", "verify": "verify", "publish": "publish"})
    graph.add_conditional_edges("rework", before_turn, {"develop": "develop", "park": "park"})
    graph.add_conditional_edges(
        "develop", after_turn, {"verify": "verify", "develop": "rework", "ask": "ask", "park": "park"}
    )
    graph.add_conditional_edges("park", after_park, {"develop": "develop", "end": END})
    graph.add_conditional_edges("verify", after_verification, {"publish": "publish", "develop": "rework", "ask": "ask"})
    graph.add_conditional_edges("publish", after_publish, {"end": END, "verify": "verify", "ask": "ask"})
    graph.add_conditional_edges("ask", after_answer, {"develop": "develop", "park": "park", "end": END})
    return graph
