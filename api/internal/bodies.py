"""Messages of workflows as bodies of requests: there a field that nobody knows is refused, as in every other body.

Between workflows and activities such a field is ignored, since it is of a newer build.
"""

from pydantic import ConfigDict

from contracts.planning import ProposedChecks
from contracts.worker_steps import AgentWorkerProjection

_STRICT = ConfigDict(extra="forbid")


class AgentWorkerBody(AgentWorkerProjection):
    model_config = _STRICT


class ProposedChecksBody(ProposedChecks):
    model_config = _STRICT
