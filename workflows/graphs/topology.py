"""A graph that is compiled once for all runs of a process."""

import copy
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

_Compiled = CompiledStateGraph[Any, Any, Any, Any]


class Topology(StateGraph[Any, Any, Any, Any]):
    """A compiled graph. Compiling takes longer than a step of a run, and the result holds nothing of a run but its
    checkpointer."""

    _shared: _Compiled | None = None

    def for_run(self) -> _Compiled:
        """The compiled graph, with an empty checkpointer of its own."""
        if self._shared is None:
            self._shared = self.compile()
        mine = copy.copy(self._shared)
        mine.checkpointer = InMemorySaver()
        return mine
