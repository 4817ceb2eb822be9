"""Finds what a person named: a project by id or by name."""

from cli.terminal.inputs import identifier
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import ProjectDTO
from runtime.api_client import ApiClient


async def find_project(api: ApiClient, name_or_id: str) -> ProjectDTO:
    """What the caller means, archived or not: their own project of this name, else the one with this id, else
    another person's of this name.

    Raises NOT_FOUND, or CONFLICT when several other people have one of this name.
    """
    wanted = identifier(name_or_id, "PROJECT")
    found = await _named(api, wanted)
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


async def _named(api: ApiClient, wanted: str) -> list[ProjectDTO]:
    try:
        return await api.projects(named=wanted)
    except OrchestratorError as error:
        if error.code is not ErrorCode.NOT_ALLOWED:
            raise
    # A scoped token may be allowed to show its project and not to list it: it knows the id.
    return [(await api.project(wanted)).project]


async def project_names(api: ApiClient) -> dict[str, str]:
    """The names of all projects by their ids. A scoped token may not list them: then there are only ids."""
    try:
        return {project.id: project.name for project in await api.projects(include_archived=True)}
    except OrchestratorError as error:
        if error.code is ErrorCode.NOT_ALLOWED:
            return {}
        raise
