"""The search attributes by which people find a workflow in the Web UI."""

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from contracts.names import SearchAttribute
from contracts.states import Stage

_PROJECT_NAME = SearchAttributeKey.for_keyword(SearchAttribute.PROJECT_NAME)


def attributes(project_id: str, project_name: str, task_id: str, user_id: int) -> TypedSearchAttributes:
    """Project, task, user and the first stage of a child workflow, which does not inherit them."""
    values = {
        SearchAttribute.PROJECT_ID: project_id,
        SearchAttribute.PROJECT_NAME: project_name,
        SearchAttribute.TASK_ID: task_id,
        SearchAttribute.USER_ID: str(user_id),
        SearchAttribute.STAGE: Stage.QUEUED.value,
    }
    pairs = [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values.items()]
    return TypedSearchAttributes(pairs)


def follow_rename(project_name: str | None) -> None:
    """Show the project's present name, if the workflow is not found by it already."""
    if project_name and workflow.info().typed_search_attributes.get(_PROJECT_NAME) != project_name:
        workflow.upsert_search_attributes([_PROJECT_NAME.value_set(project_name)])
