"""Finds what a person named: a project by id or by name."""

from cli.terminal.inputs import identifier
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import ProjectDTO
from runtime.api_client import ApiClient


async def find_project(api: ApiClient, name_or_id: str) -> ProjectDTO:
    """The project with this id, else the one with this name; NOT_FOUND, or CONFLICT when several have the name."""
    wanted = identifier(name_or_id, "PROJECT")
    try:
        return (await api.project(wanted)).project
    except OrchestratorError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
    found = [project for project in await _visible(api) if project.name == wanted]
    if not found:
        raise OrchestratorError(
            ErrorCode.NOT_FOUND, f"There is no project {wanted!r}. `orchestrator project list` shows yours."
        )
    if len(found) > 1:
        listed = ", ".join(f"{project.id} (user {project.owner_id})" for project in found)
        raise OrchestratorError(
            ErrorCode.CONFLICT, f"More than one project is named {wanted!r}. Use an id instead: {listed}."
        )
    return found[0]


async def find_project_id(api: ApiClient, name_or_id: str | None) -> str | None:
    """The id of the named project; None when no project was named."""
    return None if name_or_id is None else (await find_project(api, name_or_id)).id


async def _visible(api: ApiClient) -> list[ProjectDTO]:
    """A scoped token may not list projects: for its holder a name that is not an id is simply unknown."""
    try:
        return await api.projects()
    except OrchestratorError as error:
        if error.code is ErrorCode.NOT_ALLOWED:
            return []
        raise
