"""A subject is a kind and an id; only a project has the id that messages to departments carry."""

import pytest
from pydantic import ValidationError

from contracts.states import SubjectKind
from contracts.subjects import Subject


@pytest.mark.parametrize(
    ("subject", "shown", "project_id"),
    [
        (Subject.project("p-1"), "project p-1", "p-1"),
        (Subject.server("web-1"), "server web-1", None),
        (Subject.chat(-100_123), "chat -100123", None),
        (Subject.installation(), "installation", None),
    ],
)
def test_a_subject_says_what_it_is_and_travels_whole(subject: Subject, shown: str, project_id: str | None) -> None:
    assert (str(subject), subject.project_id) == (shown, project_id)
    assert Subject.model_validate_json(subject.model_dump_json()) == subject


@pytest.mark.parametrize("id_", ["", "--1", "a/b", "x" * 102, "другой"])
def test_what_is_no_id_is_refused(id_: str) -> None:
    with pytest.raises(ValidationError):
        Subject.server(id_)


def test_there_is_one_installation() -> None:
    with pytest.raises(ValidationError, match="one installation"):
        Subject(kind=SubjectKind.INSTALLATION, id="other")
