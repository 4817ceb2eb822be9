"""Driving a LangGraph graph from a workflow: stages as nodes start, interrupts as questions."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any, cast

from langgraph.types import Command
from temporalio.langgraph import graph

from workflows import failures
from workflows.graphs.topology import Topology

# A person may be asked many times; each round is a handful of nodes.
_RECURSION_LIMIT = 500
_KEPT: ContextVar[Mapping[str, Topology]] = ContextVar("graphs of the run")


def keep(graphs: Mapping[str, Topology]) -> None:
    """The graphs of this instance of a run, whatever the plugin forgets."""
    _KEPT.set(graphs)


async def run_graph(
    name: str,
    state: dict[str, Any],
    *,
    entered: Callable[[str, dict[str, Any]], None],
    interrupted: Callable[[dict[str, Any], dict[str, Any]], Awaitable[str | dict[str, Any]]],
) -> dict[str, Any]:
    """Run a graph to its end and return its last state.

    `entered(node, state)` is called as a node starts; `interrupted(value, state)` gives the answer to an interrupt.
    Temporal keeps the state: replay rebuilds the checkpointer, which is in memory.
    """
    app = _topology(name).for_run()
    config: Any = {"configurable": {"thread_id": name}, "recursion_limit": _RECURSION_LIMIT}
    pending: Any = state
    while True:
        stream = app.astream(pending, config, stream_mode="tasks", durability="sync")
        # langgraph declares an iterator; it is a generator, which must be closed when a cancel leaves it half-way
        async with aclosing(cast(AsyncGenerator[dict[str, Any], None], stream)) as events:
            async for event in events:
                if "triggers" in event:
                    failures.stop_if_cancelled()
                    entered(event["name"], event["input"])
        snapshot = await app.aget_state(config)
        interrupts = [found for task in snapshot.tasks for found in task.interrupts]
        if not interrupts:
            return dict(snapshot.values)
        pending = Command(resume=await interrupted(interrupts[0].value, dict(snapshot.values)))


def _topology(name: str) -> Topology:
    try:
        return cast(Topology, graph(name))
    except RuntimeError:
        return _KEPT.get()[name]
