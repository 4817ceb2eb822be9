"""Projects as the API shows them."""

from collections.abc import Sequence

from api.questions import replies as questions
from api.releases import replies as releases
from api.tables import ProjectRow, QuestionRow, ReleaseRow
from contracts.nouns import ProjectDTO, ProjectResponse


def project(row: ProjectRow) -> ProjectDTO:
    return ProjectDTO.model_validate(row.model_dump(exclude={"create_hash", "scaffolded"}))


def whole_project(
    row: ProjectRow, active_release: ReleaseRow | None, open_questions: Sequence[QuestionRow]
) -> ProjectResponse:
    return ProjectResponse(
        project=project(row),
        active_release=None if active_release is None else releases.release(active_release),
        open_questions=[questions.question(question) for question in open_questions],
    )
