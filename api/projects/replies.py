"""Projects as the API shows them."""

from collections.abc import Sequence

from api.questions import replies as questions
from api.releases import replies as releases
from api.tables import ProjectRow, QuestionRow, ReleaseRow
from contracts.nouns import ProjectDTO, ProjectResponse
from runtime.settings import GIT_PATH, LOCAL_FORGE, Settings


def project(row: ProjectRow, settings: Settings) -> ProjectDTO:
    columns = row.model_dump(exclude={"create_hash", "scaffolded", "deleted_at"})
    return ProjectDTO.model_validate({**columns, "clone_url": _clone_url(row, settings)})


def _clone_url(row: ProjectRow, settings: Settings) -> str | None:
    """None while there is nothing to clone, and where another forge than our own has the repository."""
    has_it = row.scaffolded and settings.forge == LOCAL_FORGE
    return f"{settings.site_url}{GIT_PATH}/{row.slug}.git" if has_it else None


def whole_project(
    row: ProjectRow, settings: Settings, active_release: ReleaseRow | None, open_questions: Sequence[QuestionRow]
) -> ProjectResponse:
    return ProjectResponse(
        project=project(row, settings),
        active_release=None if active_release is None else releases.release(active_release),
        open_questions=[questions.question(question) for question in open_questions],
    )
