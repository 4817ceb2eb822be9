"""What a project may consist of."""

import pytest
from pydantic import ValidationError

from contracts.nouns import ProjectCreate
from contracts.project_spec import ProjectSpec


@pytest.mark.parametrize("modules", [["web"], ["tg_bot", "web"], []])
def test_pages_without_the_backend_that_serves_them_are_refused(modules: list[str]) -> None:
    with pytest.raises(ValidationError, match=r"backend|at least 1"):
        ProjectSpec.model_validate({"name": "notes", "modules": modules})
    with pytest.raises(ValidationError, match=r"backend|at least 1"):
        ProjectCreate.model_validate({"id": "p1", "name": "notes", "modules": modules})


def test_a_project_may_have_every_module() -> None:
    modules = ["backend", "web", "tg_bot"]
    assert [one.value for one in ProjectSpec.model_validate({"name": "notes", "modules": modules}).modules] == modules
