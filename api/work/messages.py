"""The messages with which workflows start, made from a request and its project."""

from api.auth import Caller
from api.problems import permanent
from api.tables import ProjectRow
from contracts import ids
from contracts.departments import DeliveryMessage, DeployMessage, EngineeringMessage
from contracts.errors import ErrorCode
from contracts.modules_of_wish import with_modules_of
from contracts.nouns import DeliveryStart, DeployStart, EngineeringStart
from contracts.parts import may_have_parts
from contracts.project_settings import ProjectSettings
from contracts.project_spec import ProjectSpec
from contracts.states import DeployAction, Module, Role, TaskKind


def task_id(kind: TaskKind, body: EngineeringStart | DeployStart) -> str:
    """Request ids of two people may be equal and must not name the same task, so the id includes the project."""
    return ids.task_id_for_request(kind, f"{body.project_id}/{body.request_id}")


def engineering(
    body: EngineeringStart, project: ProjectRow, caller: Caller, task_id: str, settings: ProjectSettings
) -> EngineeringMessage:
    """`settings` count where the request says nothing."""
    return EngineeringMessage(
        request_id=body.request_id,
        actor=caller.actor,
        task_id=task_id,
        project_id=project.id,
        user_id=project.owner_id,
        title=body.title,
        spec=_spec(body, project),
        project_name=project.name,
        repository=project.repository,
        agent=body.agent or settings.agent,
        max_rounds=body.max_rounds or settings.max_rounds,
        turn_timeout_s=settings.turn_timeout_s,
        question_reminder_s=settings.question_reminder_s,
        acceptance=settings.acceptance,
        plan_approval=settings.plan_approval,
        review=settings.review,
        reviewer=settings.reviewer,
        review_model=settings.review_model,
        cheaper_model=settings.cheaper_model,
        fallback_agents=settings.fallback_agents,
        wait_for_limits=settings.wait_for_limits,
    )


def delivery(
    body: DeliveryStart, project: ProjectRow, caller: Caller, task_id: str, settings: ProjectSettings
) -> DeliveryMessage:
    """`settings` count where the request says nothing."""
    spec = _spec(body, project)
    return DeliveryMessage(
        request_id=body.request_id,
        actor=caller.actor,
        task_id=task_id,
        project_id=project.id,
        user_id=project.owner_id,
        project_name=project.name,
        project_slug=project.slug,
        repository=project.repository,
        title=body.title,
        spec=spec,
        agent=body.agent or settings.agent,
        max_rounds=body.max_rounds or settings.max_rounds,
        turn_timeout_s=settings.turn_timeout_s,
        question_reminder_s=settings.question_reminder_s,
        require_approval=_or(body.require_approval, settings.approve_deploys),
        watch_s=settings.watch_s,
        acceptance=settings.acceptance,
        plan_approval=settings.plan_approval,
        review=settings.review,
        reviewer=settings.reviewer,
        review_model=settings.review_model,
        cheaper_model=settings.cheaper_model,
        fallback_agents=settings.fallback_agents,
        wait_for_limits=settings.wait_for_limits,
        in_parts=may_have_parts(spec.description),
    )


def deploy(
    body: DeployStart, project: ProjectRow, caller: Caller, task_id: str, settings: ProjectSettings
) -> DeployMessage:
    """`settings` count where the request says nothing."""
    return DeployMessage(
        request_id=body.request_id,
        actor=caller.actor,
        task_id=task_id,
        project_id=project.id,
        user_id=project.owner_id,
        action=body.action,
        commit=body.commit,
        release_id=body.release_id,
        project_name=project.name,
        project_slug=project.slug,
        repository=project.repository,
        require_approval=_or(body.require_approval, settings.approve_deploys),
        watch_s=settings.watch_s,
        question_reminder_s=settings.question_reminder_s,
    )


def check_deploy(caller: Caller, body: DeployStart) -> None:
    """Raises NOT_ALLOWED for what an agent may not do, INVALID_INPUT for a release that is not to be rolled back to."""
    if caller.actor.role is Role.AGENT and body.action not in {DeployAction.DEPLOY, DeployAction.RESTART}:
        raise permanent(ErrorCode.NOT_ALLOWED, "An agent may deploy and restart; ask a person for anything else.")
    if body.release_id is not None and body.action is not DeployAction.ROLLBACK:
        raise permanent(ErrorCode.INVALID_INPUT, "`release_id` is only for a rollback; to deploy, give a commit.")


def _or(said: bool | None, otherwise: bool) -> bool:
    return otherwise if said is None else said


def _spec(body: EngineeringStart, project: ProjectRow) -> ProjectSpec:
    """The given spec, else one from the wish, else what the project was created with. The name is the project's."""
    if body.spec is not None:
        return body.spec.model_copy(update={"name": project.name})
    if body.wish.strip():
        return _spec_of_sentence(body.wish, project)
    if project.spec is not None:
        return ProjectSpec.model_validate(project.spec).model_copy(update={"name": project.name})
    if project.description.strip():
        return _spec_of_sentence(project.description, project)
    raise permanent(ErrorCode.INVALID_INPUT, "Say what to build: give a description (`wish`) or a spec.")


def _spec_of_sentence(sentence: str, project: ProjectRow) -> ProjectSpec:
    modules = with_modules_of(sentence, [Module(module) for module in project.modules])
    return ProjectSpec(name=project.name, description=sentence, modules=modules)
