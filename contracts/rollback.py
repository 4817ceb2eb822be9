"""Which release a rollback goes back to: one rule for everyone who requests, refuses or performs it."""

from collections.abc import Sequence

from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import DeploymentDTO
from contracts.states import ReleaseState

RETURNABLE = frozenset({ReleaseState.SUPERSEDED, ReleaseState.ROLLED_BACK})
"""Releases that were live and are not any more."""
_IN_FLIGHT = frozenset({ReleaseState.PENDING, ReleaseState.BUILDING, ReleaseState.STARTING, ReleaseState.PROBING})


def earlier_release(releases: Sequence[DeploymentDTO], release_id: str | None) -> DeploymentDTO:
    """The named release, or the newest one before the active one that was live.

    Raises OrchestratorError: NOT_FOUND for an unknown one, NOTHING_TO_ROLL_BACK for one that was never live,
    RELEASE_NOT_KEPT for one that is too old.
    """
    if release_id is not None:
        return _named(releases, release_id)
    active = next((release for release in releases if release.state is ReleaseState.ACTIVE), None)
    earlier = [
        release
        for release in sorted(releases, key=lambda release: release.number, reverse=True)
        # a release that was rolled back from is chosen only by name
        if release.state is ReleaseState.SUPERSEDED and (active is None or release.number < active.number)
    ]
    if not earlier:
        raise OrchestratorError(
            ErrorCode.NOTHING_TO_ROLL_BACK,
            "No earlier release was ever live, so there is nothing to roll back to. Deploy another commit instead.",
        )
    return next((release for release in earlier if release.can_return), None) or _kept(earlier[0])


def check_rollback(releases: Sequence[DeploymentDTO], release_id: str | None) -> None:
    """Refuse a rollback that would certainly fail, as `earlier_release` does.

    While a release is being deployed, the live release may become the one to go back to: then only an unknown one is
    refused.
    """
    is_moving = any(release.state in _IN_FLIGHT for release in releases)
    if not is_moving or (release_id is not None and all(release.id != release_id for release in releases)):
        earlier_release(releases, release_id)


def _named(releases: Sequence[DeploymentDTO], release_id: str) -> DeploymentDTO:
    found = next((release for release in releases if release.id == release_id), None)
    if found is None:
        raise OrchestratorError(
            ErrorCode.NOT_FOUND,
            f"This project has no release {release_id}; `orchestrator deploy status PROJECT` lists them.",
        )
    if found.state not in RETURNABLE:
        raise OrchestratorError(
            ErrorCode.NOTHING_TO_ROLL_BACK,
            f"Release {release_id} is {found.state.value} and was never live; choose another one.",
        )
    return _kept(found)


def _kept(release: DeploymentDTO) -> DeploymentDTO:
    if not release.can_return:
        raise OrchestratorError(
            ErrorCode.RELEASE_NOT_KEPT,
            f"Release {release.id} is too old to return to: its image is not kept any more. Put its commit online as a "
            f"new release: `orchestrator deploy start {release.project_id} --commit {release.commit}`.",
        )
    return release
