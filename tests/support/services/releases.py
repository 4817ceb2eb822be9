"""Releases of a sample project, as the platform orders them, and the rows that it keeps of them."""

from contracts.base import utc_now
from contracts.nouns import DeploymentDTO
from contracts.states import ReleaseState
from contracts.steps import ReleaseOutcome, ReleaseRequest, ReleaseVerdict
from tests.support.services.sample_service import Recorder, SampleProject


async def deploy(
    project: SampleProject, commit: str, previous: str | None = None
) -> tuple[ReleaseRequest, ReleaseOutcome]:
    request = await project.request(commit, previous=previous, timeout_s=300)
    return request, await project.target.release(request, project.environment(request), Recorder().follow)


def recorded(project: SampleProject, request: ReleaseRequest, image: str | None = None) -> DeploymentDTO:
    return DeploymentDTO(
        id=request.release_id, project_id=project.project_id, task_id=request.task_id, commit=request.plan.commit,
        state=ReleaseState.ACTIVE, server_handle=project.server_handle, number=1, image=image, created_at=utc_now(),
        updated_at=utc_now(),
    )  # fmt: skip


def verdict(project: SampleProject, request: ReleaseRequest) -> ReleaseVerdict:
    return ReleaseVerdict(
        project_id=project.project_id, project_name=project.name, task_id=request.task_id,
        release_id=request.release_id, allocation=request.allocation,
    )  # fmt: skip
