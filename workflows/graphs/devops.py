"""Topology of the devops graph: analyse -> resolve -> allocate -> approve -> deploy -> probe -> watch -> promote.

What does not go well rolls back.
"""

from langgraph.graph import END, START
from langgraph.types import interrupt

from activities.deployment import DevopsNodes, DevopsState
from workflows import options, rules
from workflows.graphs.topology import Topology

_IN_WORKFLOW = {"execute_in": "workflow"}


async def ask_secrets(state: DevopsState) -> DevopsState:
    """Ask for the values that only a person has; the answer says that they are in the secret store."""
    answer = str(interrupt({"kind": "secret", "names": state.get("missing", [])}))
    return {"stopped": rules.is_stop(answer)}


async def approve(state: DevopsState) -> DevopsState:
    """Ask for approval of exactly this plan."""
    answer = str(interrupt({"kind": "approval"}))
    approved = answer.strip().lower() == rules.APPROVE
    return {"approved": approved, "stopped": not approved}


async def after_resolve(state: DevopsState) -> str:
    return "ask_secrets" if state.get("missing") else "allocate"


async def after_secrets(state: DevopsState) -> str:
    return "end" if state.get("stopped") else "resolve"


async def after_allocate(state: DevopsState) -> str:
    return "approve" if state.get("require_approval") else "deploy"


async def after_approve(state: DevopsState) -> str:
    return "roll_back" if state.get("stopped") else "deploy"


async def after_deploy(state: DevopsState) -> str:
    return "probe" if (state.get("release") or {}).get("ok") else "roll_back"


async def after_probe(state: DevopsState) -> str:
    if not state.get("probe_ok"):
        return "roll_back"
    return "watch" if state.get("watch_s") else "promote"


async def after_watch(state: DevopsState) -> str:
    return "promote" if state.get("probe_ok") else "roll_back"


def build_devops_graph(nodes: DevopsNodes) -> Topology:
    """A fresh graph: one serves one plugin."""
    graph = Topology(DevopsState)
    graph.add_node("analyse", nodes.analyse, metadata=options.node(options.REPOSITORY, "Read what the commit needs"))
    graph.add_node("resolve", nodes.resolve, metadata=options.node(options.SHORT, "Resolve secrets"))
    graph.add_node("ask_secrets", ask_secrets, metadata=_IN_WORKFLOW)
    graph.add_node("allocate", nodes.allocate, metadata=options.node(options.RECORD, "Allocate server and ports"))
    graph.add_node("approve", approve, metadata=_IN_WORKFLOW)
    graph.add_node("deploy", nodes.deploy, metadata=options.node(options.RELEASE_RUN, "Put the release on the server"))
    graph.add_node("probe", nodes.probe, metadata=options.node(options.PROBE, "Probe the URL from outside"))
    graph.add_node("watch", nodes.watch, metadata=options.node(options.WATCH, "Watch the release at its URL"))
    graph.add_node("promote", nodes.promote, metadata=options.node(options.RECORD, "Record the active release"))
    graph.add_node(
        "roll_back", nodes.roll_back, metadata=options.node(options.REVERT, "Return to the previous release")
    )
    graph.add_edge(START, "analyse")
    graph.add_edge("analyse", "resolve")
    graph.add_conditional_edges("resolve", after_resolve, {"ask_secrets": "ask_secrets", "allocate": "allocate"})
    graph.add_conditional_edges("ask_secrets", after_secrets, {"resolve": "resolve", "end": END})
    graph.add_conditional_edges("allocate", after_allocate, {"approve": "approve", "deploy": "deploy"})
    graph.add_conditional_edges("approve", after_approve, {"deploy": "deploy", "roll_back": "roll_back"})
    graph.add_conditional_edges("deploy", after_deploy, {"probe": "probe", "roll_back": "roll_back"})
    graph.add_conditional_edges(
        "probe", after_probe, {"watch": "watch", "promote": "promote", "roll_back": "roll_back"}
    )
    graph.add_conditional_edges("watch", after_watch, {"promote": "promote", "roll_back": "roll_back"})
    graph.add_edge("promote", END)
    graph.add_edge("roll_back", END)
    return graph
