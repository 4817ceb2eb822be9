"""What a running service says of its API, asked for in the way of a check."""

import json
from dataclasses import dataclass
from typing import Any

from activities.adapters.planning.openapi import ApiDescription
from activities.ports import Acceptance, Follow
from contracts.acceptance import AcceptanceCheck, AcceptanceRequest, HttpStep
from contracts.criteria import Criterion
from contracts.planning import MAX_API_DESCRIPTION
from runtime.artifacts import DirectoryArtifactStore

_ASKED = Criterion(id="described", sentence="The service describes its API.")
_CHECK = AcceptanceCheck(
    id="openapi",
    criterion_id=_ASKED.id,
    title="GET /openapi.json",
    steps=[HttpStep.model_validate({"path": "/openapi.json", "expect": {"status": 200}})],
)


@dataclass(frozen=True)
class AskedDescriptions:
    """The answer stands in the report of an acceptance of its own."""

    acceptance: Acceptance
    artifacts: DirectoryArtifactStore

    async def describe(self, request: AcceptanceRequest, follow: Follow) -> str:
        """See `ApiDescriptions`. Adopted as any acceptance is."""
        result = await self.acceptance.accept(_asking(request), follow)
        if result.report is None or not result.passed:
            return ""
        described = ApiDescription.read(_answer(await self.artifacts.read(result.report)))
        return "" if described is None else described.text()

    async def stop(self, request: AcceptanceRequest) -> None:
        """See `ApiDescriptions`."""
        await self.acceptance.stop(_asking(request))


def _asking(request: AcceptanceRequest) -> AcceptanceRequest:
    only = {"criteria": [_ASKED], "checks": [_CHECK], "not_checkable": {}, "answer_limit": MAX_API_DESCRIPTION}
    return request.model_copy(update=only)


def _answer(report: bytes) -> str:
    """The answer of the first step of the first check; empty for what is no report."""
    try:
        found: Any = json.loads(report)["checks"][0]["steps"][0]["answer"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) and len(found) <= MAX_API_DESCRIPTION else ""
