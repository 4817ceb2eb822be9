"""Topology of the engineering graph: plan -> develop -> verify -> publish, with a person beside it.

Graph and node names are wire names. Edges and routers run in the workflow and are coroutines on purpose: a
synchronous router would need a thread, which workflow code has not.
"""

from langgraph.graph import END, START
from langgraph.types import interrupt

from activities.engineering import EngineeringNodes, EngineeringState
from workflows import options, rules
from workflows.graphs.topology import Topology

_IN_WORKFLOW = {"execute_in": "workflow"}


async def plan(state: EngineeringState) -> EngineeringState:
    """What the Developer is told first."""
    return {"prompt": rules.FIRST_PROMPT, "round": 0, "turn": 0}


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


async def after_turn(state: EngineeringState) -> str:
    return rules.after_turn(dict(state))


async def after_verification(state: EngineeringState) -> str:
    return rules.after_verification(dict(state))


async def after_publish(state: EngineeringState) -> str:
    return rules.after_publish(dict(state))


async def after_answer(state: EngineeringState) -> str:
    return "end" if rules.is_stop(state.get("answer", "")) else "develop"


def build_engineering_graph(nodes: EngineeringNodes) -> Topology:
    """A fresh graph: one serves one plugin."""
    graph = Topology(EngineeringState)
    graph.add_node("plan", plan, metadata=_IN_WORKFLOW)
    graph.add_node("rework", rework, metadata=_IN_WORKFLOW)
    graph.add_node("ask", ask, metadata=_IN_WORKFLOW)
    graph.add_node("develop", nodes.develop, metadata=options.node(options.DEVELOP, "Developer: one turn of the agent"))
    graph.add_node("verify", nodes.verify, metadata=options.node(options.VERIFICATION, "Tester: the project's checks"))
    graph.add_node("publish", nodes.publish, metadata=options.node(options.REPOSITORY, "Publish the verified commit"))
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "develop")
    graph.add_edge("rework", "develop")
    graph.add_conditional_edges("develop", after_turn, {"verify": "verify", "develop": "rework", "ask": "ask"})
    graph.add_conditional_edges("verify", after_verification, {"publish": "publish", "develop": "rework", "ask": "ask"})
    graph.add_conditional_edges("publish", after_publish, {"end": END, "verify": "verify", "ask": "ask"})
    graph.add_conditional_edges("ask", after_answer, {"develop": "develop", "end": END})
    return graph
