"""How one message of a deploy ends: live, failed or cancelled, and what serves afterwards.

Each ending writes the task's final state. One that meets a release which nothing has settled yet returns to the
previous release first.
"""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.deployment import DevopsNodes
    from contracts.artifacts import ArtifactRef
    from contracts.departments import DeployMessage, DeployResult
    from contracts.errors import ErrorCode, with_ending
    from contracts.states import DeployAction, ProjectStatus, ReleaseState, TaskState
    from contracts.steps import Allocation, ChosenRelease, ReleaseOutcome, ReleaseVerdict
    from workflows import failures, options, patches, rules
    from workflows.ledger import Ledger

GRAPH_ACTIONS = frozenset({DeployAction.DEPLOY, DeployAction.ROLLBACK})
"""Those that put a release online."""


class Attempt:
    """One message while it is carried out. `state` is the graph's, `reached` the nodes that it has entered."""

    def __init__(self, message: DeployMessage, ledger: Ledger) -> None:
        self.message = message
        self.ledger: Ledger = ledger
        self.chosen: ChosenRelease | None = None
        self.state: dict[str, Any] = {}
        self.reached: set[str] = set()

    async def complete(self, result: DeployResult, text: str) -> DeployResult:
        """The task is completed; returns `result` as the answer to this message."""
        live = result.release_state is ReleaseState.ACTIVE
        await self.ledger.finish(
            TaskState.COMPLETED,
            text,
            result={
                "deployed_url": result.deployed_url,
                "commit_sha": result.commit_sha,
                "release_id": result.release_id,
                "server_ip": result.server_ip,
                "port": result.port,
                **rules.links_for_people(result.links),
            },
            project_status=ProjectStatus.ACTIVE if live else None,
            artifacts=self._artifacts(),
        )
        return result.model_copy(update={"request_id": self.message.request_id})

    async def fail(self, error: BaseException) -> ApplicationError:
        """The task has failed, and the previous release serves; returns the failure for whoever waits for it."""
        code, text = failures.code_and_message(error)
        if self._in_flight():
            await self._put_back(cancelled=False, code=code, error=text)
            if self.state.get("revert_error"):
                code, text = self.code_of(code), with_ending(str(self.state.get("error") or text), self.what_serves())
        await self.ledger.finish(
            TaskState.FAILED,
            f"Deploy failed: {text}",
            error_code=code,
            error=text,
            project_status=self._status_after_failure(code),
            artifacts=self._artifacts(),
        )
        return failures.failure(code, text)

    async def cancel(self) -> ApplicationError:
        """The task is cancelled, and the previous release serves; returns the failure for whoever waits for it."""
        deploys = self.message.action in GRAPH_ACTIONS
        self.ledger.note(f"Cancelling: stopping the deploy. {self.undoing()}" if deploys else "Cancelling.")
        if self._in_flight():
            await self._put_back(cancelled=True, code=None, error="Cancelled by a person.")
        left = ProjectStatus.FAILED if self.state.get("revert_error") else ProjectStatus.SCAFFOLDED
        await self.ledger.finish(
            TaskState.CANCELLED,
            with_ending("Cancelled.", (self.what_serves() or "nothing of it is left running") if deploys else ""),
            project_status=left if "deploy" in self.reached else None,
            artifacts=self._artifacts(),
        )
        return _cancelled()

    def what_serves(self) -> str:
        """What is online after a release that did not go live, for `with_ending`; empty when nothing was touched."""
        if self.state.get("revert_error"):
            undoing = "returning to the previous release" if self._previous else "removing what was started"
            told = f"{undoing} failed: {self.state['revert_error']}"
            return f"{told.rstrip('.')}. {self.state.get('serving') or ''}".rstrip(" .")
        if self._previous:
            return "the previous release is still running"
        if "deploy" in self.reached:
            return "nothing of this project was online before, and what was started has been removed"
        return ""

    def undoing(self) -> str:
        """What is done about a release that does not go live."""
        if "deploy" not in self.reached:
            return "Nothing has been put online."
        if self._previous:
            return "Returning to the previous release."
        return "Nothing was online before; removing what was started."

    @property
    def _previous(self) -> str | None:
        previous = (self.state.get("allocation") or {}).get("previous_release_id")
        return str(previous) if previous else None

    def code_of(self, code: str) -> str:
        """`code`, or that of a return that failed: who reads `PROBE_FAILED` takes the previous release as serving."""
        return ErrorCode.ROLLBACK_FAILED.value if self.state.get("revert_error") else code

    def _status_after_failure(self, code: str) -> ProjectStatus | None:
        """The project's status after a failure; None if nothing was tried and the project is as it was."""
        deploys = self.message.action is DeployAction.DEPLOY and code != ErrorCode.STOPPED_BY_PERSON
        tried = deploys and self.chosen is not None  # a commit that does not exist is a typing error
        return ProjectStatus.FAILED if tried or "deploy" in self.reached else None

    def _in_flight(self) -> bool:
        """Whether there may be something of a release that neither `promote` nor `roll_back` has settled."""
        return "allocate" in self.reached and not self.state.get("status")

    async def _put_back(self, *, cancelled: bool, code: str | None, error: str) -> None:
        """Return to the previous release; that this fails is told, and ends the task all the same."""
        try:
            outcome = await self._revert(cancelled=cancelled, code=code, error=error)
        except ActivityError as trouble:
            # one that a cancel has met is done nevertheless: going back is never left half-way
            if not failures.is_cancellation(trouble):
                self.state["revert_error"] = failures.code_and_message(trouble)[1]
        else:
            self.state["revert_error"] = None if outcome.ok else outcome.error or "no reason given"
            self.state["serving"] = outcome.serving

    def _artifacts(self) -> list[ArtifactRef]:
        log = self.state.get("log")
        return [ArtifactRef.model_validate(log)] if log else []

    async def _revert(self, *, cancelled: bool, code: str | None, error: str) -> ReleaseOutcome:
        release, allocation = self.state.get("release") or {}, self.state.get("allocation")
        verdict = ReleaseVerdict(
            project_id=self.state["project_id"],
            project_name=self.state["project_name"],
            task_id=self.state["task_id"],
            release_id=self.state["release_id"],
            allocation=Allocation.model_validate(allocation) if allocation else None,
            switched=bool(release.get("switched", True)),
            cancelled=cancelled,
            rollback=bool(self.state.get("rollback")),
            commit=self.state["commit"],
            error_code=code,
            error=error,
        )
        return await workflow.execute_activity_method(
            DevopsNodes.revert, verdict, **options.named(options.REVERT, "Return to the previous release")
        )


async def cancel_waiting(ledger: Ledger) -> ApplicationError:
    """The task of a message whose turn had not come is cancelled; returns the failure for whoever waits for it."""
    if not patches.queued_is_seen():
        await ledger.open("Waiting behind a deploy that was cancelled.")
    await ledger.finish(TaskState.CANCELLED, "Cancelled before it started.")
    return _cancelled()


def _cancelled() -> ApplicationError:
    return failures.failure(ErrorCode.STOPPED_BY_PERSON, "Cancelled.")
