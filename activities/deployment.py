"""The nodes of the devops graph, and the operations on what is deployed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import structlog
from temporalio import activity

from activities.ended import refuse_if_ended
from activities.following import beating, followed, or_stop, to_the_end
from activities.ports import DeployTarget, Forge, PlanReader, Platform
from activities.rules import environment as rules_environment
from activities.rules import serving as rules_serving
from contracts import ids
from contracts.errors import OWN_OUTAGES, ErrorCode, OrchestratorError
from contracts.names import ActivityName
from contracts.nouns import DeploymentDTO, DeploymentRecord
from contracts.rollback import earlier_release
from contracts.states import DeployAction, ReleaseState
from contracts.steps import (
    Allocation,
    AnalysisRequest,
    ChosenRelease,
    DeploymentPlan,
    OperationRequest,
    OperationResult,
    ProbeRequest,
    ProbeResult,
    ReleaseChoice,
    ReleaseOutcome,
    ReleaseRequest,
    ReleaseVerdict,
)

log = structlog.get_logger(__name__)

_PORTS_TO_TRY = 10

_RETURN_S = 300.0
"""How long a server is waited for that should return to the previous release: the service is broken meanwhile."""
_RETURN_AGAIN_S = 5.0


class DevopsState(TypedDict, total=False):
    """What the devops graph knows; `plan`, `allocation` and `release` are models in their JSON form."""

    task_id: str
    project_id: str
    project_name: str
    repository: str
    release_id: str
    commit: str
    rollback: bool
    require_approval: bool
    plan: dict[str, Any]
    missing: list[str]
    asked_for: list[str]
    allocation: dict[str, Any]
    image: str | None
    approved: bool
    stopped: bool
    release: dict[str, Any]
    probe_ok: bool
    probe_error: str | None
    watch_s: int
    seen: dict[str, Any]
    url: str
    status: str
    error_code: str | None
    error: str | None
    revert_error: str | None
    serving: str | None
    log: dict[str, Any] | None


@dataclass(frozen=True)
class DevopsNodes:
    forge: Forge
    plans: PlanReader
    platform: Platform
    target: DeployTarget

    async def analyse(self, state: DevopsState) -> DevopsState:
        """Read what the commit needs to run; a second run reads the same."""
        request = AnalysisRequest(
            project_id=state["project_id"], repository=state["repository"], commit=state["commit"]
        )
        return {"plan": (await to_the_end(self.plans.read(request))).model_dump(mode="json")}

    async def resolve(self, state: DevopsState) -> DevopsState:
        """Store generated values before first use and name what only a person can give."""
        plan = DeploymentPlan.model_validate(state["plan"])
        generated = [entry.name for entry in plan.environment if entry.source == "generated_secret"]
        if generated:
            await self.platform.generate_secrets(state["project_id"], generated)
        present = set(await self.platform.secret_names(state["project_id"]))
        wanted = [entry.name for entry in plan.environment if entry.source == "user_secret" and entry.required]
        return {"missing": [name for name in wanted if name not in present]}

    async def allocate(self, state: DevopsState) -> DevopsState:
        """Server and ports, and the release's row; a second run gets the same."""
        plan = DeploymentPlan.model_validate(state["plan"])
        project_id = state["project_id"]
        granted = await self.platform.allocate_ports(project_id, [service.name for service in plan.services])
        active = _active(await self.platform.releases(project_id))
        mine = await self.platform.record_release(_record(state, ReleaseState.PENDING, server=granted.server_handle))
        allocation = Allocation(
            server_handle=granted.server_handle,
            server_ip=granted.server_ip,
            ports=granted.ports,
            previous_release_id=active.id if active else None,
            previous_commit=active.commit if active else None,
        )
        return {"allocation": allocation.model_dump(mode="json"), "image": mine.image}

    async def deploy(self, state: DevopsState) -> DevopsState:
        """Put the release on the server and switch to it; a second run adopts what the first one has started.

        A port that another program holds is exchanged while nothing of the project has served: nobody knows it yet.
        """
        await refuse_if_ended(self.platform, state["task_id"])
        request = await self._with_present_ports(_release_request(state))
        await self.platform.record_release(
            _record(state, ReleaseState.STARTING, server=request.allocation.server_handle)
        )
        secrets = await self._secrets(request)
        outcome, taken = await self._put(state, request, secrets), set[int]()
        while outcome.taken_ports and len(taken) < _PORTS_TO_TRY:
            taken.update(outcome.taken_ports)
            moved = await self._moved(request, sorted(taken))
            if moved is None:
                break
            request, outcome = moved, await self._put(state, moved, secrets)
        return {
            "allocation": request.allocation.model_dump(mode="json"),
            "release": outcome.model_dump(mode="json"),
            "error_code": outcome.error_code,
            "error": outcome.error,
            "log": outcome.log.model_dump(mode="json") if outcome.log else None,
        }

    async def _put(self, state: DevopsState, request: ReleaseRequest, secrets: dict[str, str]) -> ReleaseOutcome:
        environment = rules_environment.render(
            request.plan,
            request.allocation,
            secrets,
            project_id=request.project_id,
            project_name=request.project_name,
            release_id=request.release_id,
        )
        work = followed(
            self.platform, request.task_id, lambda follow: self.target.release(request, environment, follow)
        )
        return await or_stop(work, lambda: self._abandon(state, request))

    async def _with_present_ports(self, request: ReleaseRequest) -> ReleaseRequest:
        """An attempt that was killed may have exchanged ports: what it has started listens on the new ones."""
        if request.allocation.previous_release_id is not None:
            return request
        return await self._allocated_again(request, [])

    async def _moved(self, request: ReleaseRequest, taken: list[int]) -> ReleaseRequest | None:
        """The request on other ports; None if people know the ports that are taken, or none is left."""
        try:
            return await self._allocated_again(request, taken)
        except OrchestratorError as error:
            if error.code not in {ErrorCode.CONFLICT, ErrorCode.NO_PORT}:
                raise
            return None

    async def _allocated_again(self, request: ReleaseRequest, taken: list[int]) -> ReleaseRequest:
        services = [service.name for service in request.plan.services]
        granted = await self.platform.allocate_ports(request.project_id, services, taken)
        allocation = request.allocation.model_copy(update={"ports": granted.ports})
        return request.model_copy(update={"allocation": allocation})

    async def _abandon(self, state: DevopsState, request: ReleaseRequest) -> None:
        """Remove a cancelled release from the server and record that, so that the revert need not look again."""
        try:
            await self.target.stop_release(request)
            await self.platform.record_release(_record(state, ReleaseState.PENDING))
        except OrchestratorError as error:
            # The revert waits for what is away; a failure here would hide that a person has cancelled.
            log.warning("an abandoned release is not recorded as such; its revert looks again", code=error.code.value)

    async def _secrets(self, request: ReleaseRequest) -> dict[str, str]:
        present = set(await self.platform.secret_names(request.project_id))
        secret = {"generated_secret", "user_secret"}
        names = [entry.name for entry in request.plan.environment if entry.source in secret and entry.name in present]
        refs = {ids.secret_ref(request.project_id, name): name for name in names}
        values = await self.platform.reveal_secrets(list(refs)) if refs else {}
        return {refs[ref]: value for ref, value in values.items()}

    async def probe(self, state: DevopsState) -> DevopsState:
        """Ask the URL from outside, as its users will."""
        await self.platform.record_release(_record(state, ReleaseState.PROBING))
        return _seen(await beating(self.target.probe(_probe_request(state))))

    async def watch(self, state: DevopsState) -> DevopsState:
        """Watch the release at its public address; a second run watches anew and sees a crash in between."""
        watch = {"watch_s": state["watch_s"], "seen": state.get("seen") or {}}
        request = ProbeRequest.model_validate(_probe_request(state).model_dump() | watch)
        return _seen(await beating(self.target.probe(request)))

    async def promote(self, state: DevopsState) -> DevopsState:
        """Record the release as the active one; a second run finds that done."""
        await refuse_if_ended(self.platform, state["task_id"])
        allocation = Allocation.model_validate(state["allocation"])
        await self.platform.record_release(
            _record(
                state, ReleaseState.ACTIVE, server=allocation.server_handle, url=state["url"], links=links_of(state)
            ).model_copy(update={"still_built": (state.get("release") or {}).get("still_built")})
        )
        if state.get("rollback") and allocation.previous_release_id not in {None, state["release_id"]}:
            await self._mark(state["project_id"], str(allocation.previous_release_id), ReleaseState.ROLLED_BACK)
        return {"status": "active"}

    async def roll_back(self, state: DevopsState) -> DevopsState:
        """Return to the release before this one, if there is one, and record why."""
        release = ReleaseOutcome.model_validate(state.get("release") or {"ok": False})
        verdict = ReleaseVerdict(
            project_id=state["project_id"],
            project_name=state["project_name"],
            task_id=state["task_id"],
            release_id=state["release_id"],
            allocation=Allocation.model_validate(state["allocation"]),
            switched=release.switched,
            commit=state["commit"],
            rollback=state.get("rollback", False),
            error_code=state.get("error_code"),
            error=state.get("error"),
            log=release.log,
        )
        outcome = await self.revert(verdict)
        failed = None if outcome.ok else outcome.error or "no reason given"
        return {"status": "reverted", "revert_error": failed, "serving": outcome.serving}

    @activity.defn(name=ActivityName.DEPLOYMENT_REVERT)
    async def revert(self, verdict: ReleaseVerdict) -> ReleaseOutcome:
        """Remove a release that failed or was cancelled; the previous one serves. Repeatable.

        A server that is away is waited for. If there is no way back, it is recorded what really serves.
        """
        return await to_the_end(self._revert(verdict))

    async def _revert(self, verdict: ReleaseVerdict) -> ReleaseOutcome:
        await refuse_if_ended(self.platform, verdict.task_id)
        releases = await self.platform.releases(verdict.project_id)
        mine = next((release for release in releases if release.id == verdict.release_id), None)
        if mine is not None and mine.state is ReleaseState.ACTIVE:
            return ReleaseOutcome(ok=True, switched=True)
        if mine is None or mine.state is ReleaseState.PENDING:
            # nothing of it is on the server, whose present state is not touched
            if mine is not None:
                await self.platform.record_release(_failed(mine, verdict))
            return ReleaseOutcome(ok=True)
        previous_id = verdict.previous_release_id
        if verdict.allocation is not None:
            previous_id = verdict.allocation.previous_release_id
        previous = next((release for release in releases if release.id == previous_id), _active(releases))
        outcome = await self._returned(verdict, previous)
        if not outcome.ok:
            outcome = await self._with_what_serves(verdict, mine, previous, outcome)
        elif previous is not None and previous.state is ReleaseState.SUPERSEDED:
            # An earlier attempt had found it not serving.
            await self._mark(verdict.project_id, previous.id, ReleaseState.ACTIVE)
        serving = "" if outcome.ok else outcome.serving
        await self.platform.record_release(_failed(mine, verdict).model_copy(update={"serving": serving}))
        return outcome

    async def _returned(self, verdict: ReleaseVerdict, previous: DeploymentDTO | None) -> ReleaseOutcome:
        """The outcome of returning. What cannot be done is an outcome, too: it is followed by the truth about it."""
        clock = asyncio.get_running_loop().time
        until = clock() + _RETURN_S
        while True:
            try:
                return await self.target.revert(verdict, previous)
            except OrchestratorError as error:
                if error.code in OWN_OUTAGES:
                    raise
                log.warning("the previous release could not be returned to", code=error.code.value, why=error.message)
                if not error.retryable or clock() > until:
                    return ReleaseOutcome(ok=False, error_code=error.code.value, error=error.message)
            await asyncio.sleep(_RETURN_AGAIN_S)

    async def _with_what_serves(
        self, verdict: ReleaseVerdict, mine: DeploymentDTO, previous: DeploymentDTO | None, outcome: ReleaseOutcome
    ) -> ReleaseOutcome:
        """The outcome with what was seen to serve. A previous release that does not is not the active one any more."""
        candidates = [previous, mine] if previous is not None else [mine]
        seen = await self.target.what_serves(verdict, candidates)
        if previous is not None and seen.known and seen.release_id != previous.id:
            await self._mark(verdict.project_id, previous.id, ReleaseState.SUPERSEDED)
        told = rules_serving.in_words(seen, failed=mine.id, previous=previous.id if previous else None)
        return outcome.model_copy(update={"serving": told})

    @activity.defn(name=ActivityName.DEPLOYMENT_CHOOSE)
    async def choose(self, choice: ReleaseChoice) -> ChosenRelease:
        """The exact commit and release that a message means."""
        if choice.action is DeployAction.ROLLBACK:
            earlier = earlier_release(await self.platform.releases(choice.project_id), choice.release_id)
            return ChosenRelease(release_id=earlier.id, commit=earlier.commit)
        commit = await self.forge.mirror(choice.repository).fetch(choice.commit)
        if choice.release_id is None:
            raise OrchestratorError(ErrorCode.INTERNAL, "A deploy needs a release id.")
        return ChosenRelease(release_id=choice.release_id, commit=commit)

    @activity.defn(name=ActivityName.DEPLOYMENT_OPERATE)
    async def operate(self, request: OperationRequest) -> OperationResult:
        """stop, restart or remove, never left half-way; a second run finds it done."""
        return await to_the_end(self._operate(request))

    async def _operate(self, request: OperationRequest) -> OperationResult:
        await refuse_if_ended(self.platform, request.task_id)
        releases = await self.platform.releases(request.project_id)
        active = _active(releases)
        removed = any(release.state is ReleaseState.REMOVED for release in releases)
        if active is None and removed and request.action is DeployAction.REMOVE and activity.info().attempt > 1:
            return OperationResult(ok=True)  # the attempt before this one had got that far
        if active is None:
            raise OrchestratorError(ErrorCode.NOT_DEPLOYED, "This project is not deployed; deploy it first.")
        result = await followed(
            self.platform, request.task_id, lambda follow: self.target.operate(request, active, follow)
        )
        if result.ok and request.action is DeployAction.REMOVE:
            await self._mark(request.project_id, active.id, ReleaseState.REMOVED)
        if result.ok and request.action is DeployAction.RESTART:
            # It has just answered: what was said about what serves is over.
            await self._mark(request.project_id, active.id, ReleaseState.ACTIVE)
        return result

    async def _mark(self, project_id: str, release_id: str, state: ReleaseState) -> None:
        for release in await self.platform.releases(project_id):
            if release.id == release_id:
                await self.platform.record_release(_as_record(release).model_copy(update={"state": state}))


def _active(releases: list[DeploymentDTO]) -> DeploymentDTO | None:
    return next((release for release in releases if release.state is ReleaseState.ACTIVE), None)


def _release_request(state: DevopsState) -> ReleaseRequest:
    return ReleaseRequest(
        project_id=state["project_id"],
        project_name=state["project_name"],
        task_id=state["task_id"],
        repository=state["repository"],
        release_id=state["release_id"],
        plan=DeploymentPlan.model_validate(state["plan"]),
        allocation=Allocation.model_validate(state["allocation"]),
        image=state.get("image"),
    )


def links_of(state: Mapping[str, Any]) -> dict[str, str]:
    """Where people reach each service, by its name, as it was seen last."""
    return {name: str(one["link"]) for name, one in (state.get("seen") or {}).items() if one.get("link")}


def _probe_request(state: DevopsState) -> ProbeRequest:
    return ProbeRequest(
        project_id=state["project_id"],
        project_name=state["project_name"],
        release_id=state["release_id"],
        plan=DeploymentPlan.model_validate(state["plan"]),
        allocation=Allocation.model_validate(state["allocation"]),
    )


def _seen(result: ProbeResult) -> DevopsState:
    return {
        "probe_ok": result.ok,
        "url": result.url,
        "seen": {name: one.model_dump(mode="json") for name, one in result.services.items()},
        "error_code": None if result.ok else ErrorCode.PROBE_FAILED.value,
        "error": result.error,
    }


def _record(
    state: DevopsState,
    release_state: ReleaseState,
    *,
    server: str | None = None,
    url: str | None = None,
    links: dict[str, str] | None = None,
) -> DeploymentRecord:
    plan = DeploymentPlan.model_validate(state["plan"])
    return DeploymentRecord(
        id=state["release_id"],
        project_id=state["project_id"],
        task_id=state["task_id"],
        commit=state["commit"],
        state=release_state,
        server_handle=server or state.get("allocation", {}).get("server_handle"),
        url=url,
        services=plan.services,
        image=state.get("release", {}).get("image"),
        links=links or {},
    )


def _as_record(release: DeploymentDTO) -> DeploymentRecord:
    return DeploymentRecord.model_validate(
        release.model_dump(exclude={"number", "health", "can_return", "created_at", "updated_at"})
    )


def _failed(release: DeploymentDTO, verdict: ReleaseVerdict) -> DeploymentRecord:
    state = ReleaseState.SUPERSEDED if verdict.rollback else ReleaseState.FAILED
    update = {"state": state, "error_code": verdict.error_code, "error": verdict.error, "log": verdict.log}
    return _as_record(release).model_copy(update=update)
