"""What starting a delivery and starting engineering have in common: a wish for a project."""

from pathlib import Path
from typing import Any

from cli.client.projects import find_project
from cli.terminal import inputs
from contracts.nouns import ProjectDTO
from contracts.states import AgentKind
from runtime.api_client import ApiClient


def wish_fields(
    wish: str,
    spec: Path | None,
    title: str | None,
    agent: AgentKind | None,
    max_rounds: int | None,
    given_id: str | None,
) -> dict[str, Any]:
    """The fields of the request, checked as far as that is possible here."""
    return {
        "request_id": inputs.request_id(given_id),
        "wish": inputs.text(wish, "The description"),
        "spec": inputs.spec(spec),
        "title": None if title is None else inputs.text(title, "The title", 200),
        "agent": agent,
        "max_rounds": max_rounds,
    }


async def project_of_wish(api: ApiClient, name_or_id: str, fields: dict[str, Any]) -> ProjectDTO:
    """The project; INVALID_INPUT when neither it nor the request says what to build."""
    project = await find_project(api, name_or_id)
    says = fields["wish"].strip() or fields["spec"] or project.spec or project.description.strip()
    if not says:
        raise inputs.refuse('Say what to build: a sentence, such as "A service for notes", or --spec FILE.')
    return project
