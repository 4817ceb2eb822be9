"""By what people find a child workflow; its parent knows, the child does not inherit."""

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from contracts.names import SearchAttribute
from contracts.states import Stage


def attributes(project_id: str, task_id: str, user_id: int) -> TypedSearchAttributes:
    """Project, task, user and the first stage."""
    values = {
        SearchAttribute.PROJECT_ID: project_id,
        SearchAttribute.TASK_ID: task_id,
        SearchAttribute.USER_ID: str(user_id),
        SearchAttribute.STAGE: Stage.QUEUED.value,
    }
    pairs = [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values.items()]
    return TypedSearchAttributes(pairs)
