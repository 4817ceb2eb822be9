"""Outside names derive from ids that the caller minted: the same input is the same name, another is another."""

import re

import pytest
from pydantic import TypeAdapter

from contracts import ids, names
from contracts.errors import OrchestratorError
from contracts.project_spec import ProjectSlug
from contracts.states import TaskKind


@pytest.mark.parametrize("kind", list(TaskKind))
def test_a_repeated_request_names_the_same_task(kind: TaskKind) -> None:
    first = ids.task_id_for_request(kind, "request-1")
    assert ids.task_id_for_request(kind, "request-1") == first
    assert ids.task_id_for_request(kind, "request-2") != first


@pytest.mark.parametrize("kind", [TaskKind.ENGINEERING, TaskKind.DEPLOY])
def test_a_step_of_a_delivery_is_not_the_task_of_an_equal_request(kind: TaskKind) -> None:
    delivery = ids.task_id_for_request(TaskKind.DELIVERY, "request-1")
    assert ids.child_task_id(delivery, kind) != ids.task_id_for_request(kind, "request-1")


def test_two_new_tasks_have_two_ids() -> None:
    assert ids.new_task_id(TaskKind.DEPLOY) != ids.new_task_id(TaskKind.DEPLOY)


def test_the_steps_of_a_delivery_keep_its_number() -> None:
    assert ids.child_task_id("dlv-abc", TaskKind.ENGINEERING) == "eng-abc"
    assert ids.child_task_id("dlv-abc", TaskKind.DEPLOY) == "dep-abc"


def test_workflow_ids_are_words_that_a_person_can_search() -> None:
    assert ids.delivery_workflow_id("bookshelf-1f9a", "dlv-1") == "delivery/bookshelf-1f9a/dlv-1"
    assert ids.engineering_workflow_id("eng-1") == "engineering/eng-1"
    assert ids.deploy_workflow_id("bookshelf-1f9a") == "deploy/bookshelf-1f9a"
    assert ids.agent_worker_workflow_id("w-1") == "worker/w-1"


def test_a_deploy_without_a_slug_is_refused_and_not_started_beside_another() -> None:
    with pytest.raises(OrchestratorError, match="project_slug"):
        ids.deploy_workflow_id(None)


@pytest.mark.parametrize(("name", "start"), [("my-blog", "my-blog-"), ("Мой блог", "project-"), ("Blog 2!", "blog-2-")])
def test_a_project_has_the_same_slugs_each_time_and_another_project_has_others(name: str, start: str) -> None:
    first, *longer = ids.slugs(name, "p-1")
    assert re.fullmatch(re.escape(start) + "[0-9a-f]{4}", first)
    assert ids.slugs(name, "p-1") == [first, *longer]
    assert all(slug.startswith(first) for slug in longer)
    assert first not in ids.slugs(name, "p-2")


def test_the_longest_name_still_has_a_slug() -> None:
    for slug in ids.slugs("n" * 63, "p-1"):
        assert TypeAdapter(ProjectSlug).validate_python(slug) == slug


def test_no_two_projects_are_offered_the_same_repository_of_last_choice() -> None:
    mine, theirs = ids.repository_names(1, "blog", "p-1"), ids.repository_names(2, "blog", "p-2")
    assert mine == ("u1/blog", "u1/blog-1dee6e3e")
    assert not set(mine) & set(theirs)
    assert ids.repository_names(1, "blog", "p-3")[1] != mine[1]


def test_every_turn_and_every_verified_commit_has_a_name_of_its_own() -> None:
    assert ids.turn_name("w-1", 1) != ids.turn_name("w-1", 2)
    assert ids.verification_name("eng-1", "a" * 40) != ids.verification_name("eng-1", "b" * 40)
    assert ids.release_run_name("rel-1", "release") != ids.release_run_name("rel-1", "revert")


@pytest.mark.parametrize(("name", "directory"), [("my-blog", "my_blog"), ("Blog 2", "blog_2"), ("--", "project")])
def test_the_name_of_a_directory_is_snake_case_and_never_empty(name: str, directory: str) -> None:
    assert ids.directory_name(name) == directory


def test_a_secret_reference_names_project_and_secret() -> None:
    assert ids.secret_ref("p-1", "BOT_TOKEN") == "secret://projects/p-1/BOT_TOKEN"


@pytest.mark.parametrize(
    "names_of_a_kind", [names.WorkflowName, names.ActivityName, names.UpdateName, names.QueryName, names.GraphName]
)
def test_wire_names_are_different_from_each_other(names_of_a_kind: type) -> None:
    values = [value for key, value in vars(names_of_a_kind).items() if key.isupper() and isinstance(value, str)]
    assert len(values) == len(set(values))
    assert values
