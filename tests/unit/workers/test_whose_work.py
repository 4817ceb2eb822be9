"""Log records of activities say whose work they are about: by what the activity was given, or an earlier one."""

from contracts.progress import Projection
from contracts.states import TaskKind, TaskState
from contracts.subjects import Subject
from workers.interceptors import ErrorTranslation


def projection(subject: Subject) -> Projection:
    return Projection(
        workflow_id="w", seq=1, task_id="t-1", subject=subject, user_id=1, kind=TaskKind.DEPLOY, state=TaskState.RUNNING
    )


def test_a_projection_names_the_project_and_later_steps_of_the_task_know_it() -> None:
    memory = ErrorTranslation()
    assert memory.subject("w", [projection(Subject.project("p-1"))]) == {"task_id": "t-1", "project_id": "p-1"}
    assert memory.subject("w", [{"task_id": "t-1"}]) == {"task_id": "t-1", "project_id": "p-1"}


def test_work_on_a_server_is_no_projects() -> None:
    assert ErrorTranslation().subject("w", [projection(Subject.server("web-1"))]) == {"task_id": "t-1"}
