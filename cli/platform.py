"""One way to the platform with two backends.

Things are read and written over HTTP by both. They differ only in how workflows are started, answered and
cancelled: inside an agent worker over HTTP as well, on the platform's own host straight through the gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contracts.base import Actor
    from contracts.nouns import (
        AnswerRequest,
        CancelAccepted,
        DeliveryStart,
        DeployStart,
        EngineeringStart,
        ProjectDTO,
        StartedTask,
        TaskDTO,
    )
    from contracts.project_spec import ProjectSpec
    from contracts.questions import AnswerAccepted, QuestionDTO
    from runtime.api_client import ApiClient
    from runtime.gateway import Gateway
    from runtime.settings import Settings


class Platform(Protocol):
    """What every command works with. All methods raise OrchestratorError."""

    @property
    def api(self) -> ApiClient: ...

    async def start_engineering(self, body: EngineeringStart) -> StartedTask: ...

    async def start_delivery(self, body: DeliveryStart) -> StartedTask: ...

    async def start_deploy(self, body: DeployStart) -> StartedTask: ...

    async def cancel(self, task: TaskDTO) -> CancelAccepted: ...

    async def answer(self, question: QuestionDTO, body: AnswerRequest) -> AnswerAccepted: ...


class HttpPlatform:
    """Everything over HTTP, with whatever the token allows."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api

    async def start_engineering(self, body: EngineeringStart) -> StartedTask:
        return await self.api.start_engineering(body)

    async def start_delivery(self, body: DeliveryStart) -> StartedTask:
        return await self.api.start_delivery(body)

    async def start_deploy(self, body: DeployStart) -> StartedTask:
        return await self.api.start_deploy(body)

    async def cancel(self, task: TaskDTO) -> CancelAccepted:
        return await self.api.cancel_task(task.id)

    async def answer(self, question: QuestionDTO, body: AnswerRequest) -> AnswerAccepted:
        return await self.api.answer(question.id, body)


class OperatorPlatform:
    """Workflows through the gateway, which is connected on first use; Temporal away is told within five seconds."""

    def __init__(self, api: ApiClient, settings: Settings) -> None:
        self.api = api
        self._settings = settings
        self._gateway: Gateway | None = None

    async def gateway(self) -> Gateway:
        """Raises OrchestratorError TEMPORAL_UNREACHABLE, or NOT_FOUND before the first `up`."""
        if self._gateway is None:
            from runtime.gateway import Gateway
            from runtime.keyring import KeyRing
            from runtime.temporal_client import connect

            keyring = KeyRing.load(self._settings.codec_key_file)
            client = await connect(self._settings, keyring=keyring, identity="cli")
            self._gateway = Gateway(client, self._settings.web_ui_url)
        return self._gateway

    async def start_engineering(self, body: EngineeringStart) -> StartedTask:
        from contracts.departments import EngineeringMessage
        from contracts.ids import task_id_for_request
        from contracts.states import TaskKind

        actor, project = await self._who_and_what(body.project_id)
        message = EngineeringMessage(
            request_id=body.request_id,
            actor=actor,
            task_id=task_id_for_request(TaskKind.ENGINEERING, f"{body.project_id}/{body.request_id}"),
            project_id=project.id,
            project_name=project.name,
            user_id=project.owner_id,
            title=body.title,
            spec=_spec(body, project),
            agent=body.agent or self._settings.agent,
            max_rounds=body.max_rounds,
        )
        return await (await self.gateway()).start_engineering(message)

    async def start_delivery(self, body: DeliveryStart) -> StartedTask:
        from contracts.departments import DeliveryMessage
        from contracts.ids import task_id_for_request
        from contracts.states import TaskKind

        actor, project = await self._who_and_what(body.project_id)
        message = DeliveryMessage(
            request_id=body.request_id,
            actor=actor,
            task_id=task_id_for_request(TaskKind.DELIVERY, f"{body.project_id}/{body.request_id}"),
            project_id=project.id,
            project_name=project.name,
            user_id=project.owner_id,
            title=body.title,
            spec=_spec(body, project),
            agent=body.agent or self._settings.agent,
            max_rounds=body.max_rounds,
            require_approval=body.require_approval,
        )
        return await (await self.gateway()).start_delivery(message)

    async def start_deploy(self, body: DeployStart) -> StartedTask:
        from contracts.departments import DeployMessage
        from contracts.ids import task_id_for_request
        from contracts.states import DeployAction, TaskKind

        # What an archived project left running can still be ended.
        ending = body.action in {DeployAction.STOP, DeployAction.REMOVE}
        actor, project = await self._who_and_what(body.project_id, archived_too=ending)
        task_id = task_id_for_request(TaskKind.DEPLOY, f"{body.project_id}/{body.request_id}")
        await self._check_rollback(body, task_id)
        message = DeployMessage(
            request_id=body.request_id,
            actor=actor,
            task_id=task_id,
            project_id=project.id,
            project_name=project.name,
            user_id=project.owner_id,
            action=body.action,
            commit=body.commit,
            release_id=body.release_id,
            require_approval=body.require_approval,
        )
        return await (await self.gateway()).start_deploy(message)

    async def _check_rollback(self, body: DeployStart, task_id: str) -> None:
        """As the API does over HTTP: what is bound to fail is refused, unless it is an earlier start repeated."""
        from contracts.errors import OrchestratorError
        from contracts.rollback import check_rollback
        from contracts.states import DeployAction

        if body.action is not DeployAction.ROLLBACK:
            return
        try:
            check_rollback(await self.api.releases(body.project_id), body.release_id)
        except OrchestratorError:
            if not await self._is_known(task_id):
                raise

    async def _is_known(self, task_id: str) -> bool:
        from contracts.errors import ErrorCode, OrchestratorError

        try:
            await self.api.task(task_id)
        except OrchestratorError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            return False
        return True

    async def cancel(self, task: TaskDTO) -> CancelAccepted:
        from contracts.departments import DeployMessage
        from contracts.nouns import CancelAccepted
        from contracts.states import TaskKind

        gateway = await self.gateway()
        if task.kind is TaskKind.DEPLOY:
            # Only this one: others of the project run or wait in the same workflow.
            taken_back = DeployMessage(
                request_id=task.id,
                actor=await self._actor(),
                task_id=task.id,
                project_id=task.project_id,
                user_id=task.user_id,
            )
            await gateway.withdraw_deploy(taken_back)
        else:
            await gateway.cancel(task.workflow_id)
        return CancelAccepted(task_id=task.id, message="Asked to cancel; the task confirms it.")

    async def answer(self, question: QuestionDTO, body: AnswerRequest) -> AnswerAccepted:
        from contracts.questions import AnswerCommand

        if body.secrets:
            # Whoever stores the values also tells the workflow: a second answer would come too late.
            return await self.api.answer(question.id, body)
        command = AnswerCommand(
            question_id=question.id,
            actor=await self._actor(),
            text=body.text,
            plan_hash=body.plan_hash,
        )
        return await (await self.gateway()).answer(question.workflow_id, command, body.answer_id)

    async def _actor(self) -> Actor:
        from contracts.states import ActorVia

        known = (await self.api.whoami()).actor
        return known.model_copy(update={"via": ActorVia.CLI})

    async def _who_and_what(self, project_id: str, *, archived_too: bool = False) -> tuple[Actor, ProjectDTO]:
        from contracts.errors import ErrorCode, OrchestratorError
        from contracts.states import ProjectStatus

        project = (await self.api.project(project_id)).project
        if project.status is ProjectStatus.ARCHIVED and not archived_too:
            raise OrchestratorError(ErrorCode.CONFLICT, f"The project {project.name} is archived; nothing was started.")
        return await self._actor(), project


def _spec(body: EngineeringStart, project: ProjectDTO) -> ProjectSpec:
    """As the API decides: the given spec, else one from the wish, else what the project was created with."""
    from contracts.errors import ErrorCode, OrchestratorError
    from contracts.project_spec import ProjectSpec

    if body.spec is not None:
        return body.spec.model_copy(update={"name": project.name})
    if not body.wish.strip() and project.spec is not None:
        return project.spec.model_copy(update={"name": project.name})
    sentence = body.wish if body.wish.strip() else project.description
    if not sentence.strip():
        raise OrchestratorError(ErrorCode.INVALID_INPUT, "Say what to build: give a wish or a spec.")
    return ProjectSpec(name=project.name, description=sentence, modules=project.modules)
