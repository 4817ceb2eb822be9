"""Typed HTTP client of the platform's API: the way of activities, the command line and agents to the database.

Every method takes and returns models of `contracts`; a refusal arrives as the OrchestratorError that the API raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from httpx_sse import SSEError, aconnect_sse
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import to_jsonable_python
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_exponential_jitter

from contracts.agent_workers import DeleteWorkerResponse, SendFileResponse, SteerWorkerResponse, StopTurnResponse
from contracts.base import Page
from contracts.costs import CostEstimate, CostEstimateRequest, CostReport
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded
from contracts.maintenance import OpenTask, OpenTaskList, Tidied
from contracts.memory import FailureReport, MemoryEdit, MemoryPublished, MemoryToWrite, ProjectMemory
from contracts.models import ModelBudget, ModelSpending, ModelTurn, OpenModelTurn, RaiseModelBudget
from contracts.nouns import (
    AnswerRequest,
    ArtifactContent,
    ArtifactFates,
    ArtifactHashes,
    CancelAccepted,
    DeliveryStart,
    DeploymentDTO,
    DeploymentList,
    DeploymentRecord,
    DeployStart,
    EngineeringStart,
    EventBatch,
    EventList,
    EventsAccepted,
    Health,
    PlatformSecretDTO,
    PlatformSecretList,
    PortAllocationDTO,
    PortAllocationRequest,
    Problem,
    ProjectCreate,
    ProjectDeletion,
    ProjectDTO,
    ProjectList,
    ProjectResponse,
    ProjectTransfer,
    ProjectUpdate,
    QuestionList,
    QueueList,
    ReleaseHealth,
    SecretDTO,
    SecretGenerate,
    SecretList,
    SecretNames,
    SecretReveal,
    SecretShown,
    SecretValues,
    SecretWrite,
    ServerCreate,
    ServerDTO,
    ServerList,
    ServerUpdate,
    StartedTask,
    TaskDTO,
    TaskList,
    TaskTree,
    TokenCreated,
    TokenRequest,
    UserCreate,
    UserCreated,
    UserDTO,
    UserList,
    WebUiTicket,
    WhoAmI,
)
from contracts.outside_text import cleaned_in
from contracts.planning import ChecksKept, KeepChecks, KeptCheckDTO, KeptCheckList, ProjectChecks, ProposedChecks
from contracts.progress import FineEvent, Projection, ProjectionAck, StreamedEvent
from contracts.project_settings import EgressHosts, SettingDTO, SettingHistory, SettingList, SettingValue, SettingWrite
from contracts.questions import AnswerAccepted, QuestionDTO
from contracts.retries import TaskRetry
from contracts.states import ActorVia, AgentKind
from contracts.worker_nouns import (
    AgentWorkerDTO,
    AgentWorkerList,
    WorkerBudgetRaise,
    WorkerCreate,
    WorkerEvent,
    WorkerEventList,
    WorkerFile,
    WorkerMessage,
    WorkerMessageReply,
    WorkerRequest,
    WorkerSteer,
)
from contracts.worker_steps import AgentWorkerAck, AgentWorkerProjection, OpenWorker, OpenWorkerList
from runtime.observability import telemetry

Model = TypeVar("Model", bound=BaseModel)
PageModel = TypeVar("PageModel", bound=Page)

VIA = "X-Orchestrator-Via"
# The server sends a comment every 15 s; three missed ones mean that the connection is dead.
_STREAM_SILENCE_S = 45.0
_RECONNECTIONS = 10
_PAGE = 500
_INTERNAL = "/internal/"
"""What the platform itself writes: texts from outside among it. A person's texts are refused and not changed."""
_BY_STATUS = {
    401: ErrorCode.NOT_AUTHENTICATED,
    403: ErrorCode.NOT_ALLOWED,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    409: ErrorCode.CONFLICT,
    413: ErrorCode.PAYLOAD_TOO_LARGE,
    400: ErrorCode.INVALID_INPUT,
    422: ErrorCode.INVALID_INPUT,
    429: ErrorCode.TOO_MANY_REQUESTS,
    502: ErrorCode.API_UNREACHABLE,
    503: ErrorCode.API_UNREACHABLE,
    504: ErrorCode.API_UNREACHABLE,
}


class ApiClient:
    """One connection pool to one API, with one key (an empty one only sees its health).

    `timeout_s` bounds each request in seconds. Calls that may be repeated without a second effect are tried up
    to `attempts` times on a transient failure, for at most `retry_for_s` seconds (`timeout_s` unless given); the
    others once. `via` says which of our programs a person uses. Raises OrchestratorError: the API's own code, or
    API_UNREACHABLE (transient) when there is no answer.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout_s: float = 10.0,
        attempts: int = 4,
        retry_for_s: float | None = None,
        via: ActorVia | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        max_connections: int | None = 100,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.has_answered = False
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._retry_for_s = timeout_s if retry_for_s is None else retry_for_s
        self._headers = httpx.Headers({VIA: via.value} if via else {})
        try:
            self._http = httpx.AsyncClient(
                base_url=self.base_url,
                headers={"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
                timeout=httpx.Timeout(timeout_s),
                transport=transport,
                limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=20),
                trust_env=False,
                event_hooks={"request": [_in_its_trace]} if telemetry.is_on() else {},
            )
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise OrchestratorError(
                ErrorCode.SETTINGS_INVALID,
                "The API's address or key has characters that HTTP does not allow; "
                "check ORCHESTRATOR_API_URL and ORCHESTRATOR_TOKEN.",
            ) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._http.aclose()

    # The platform itself

    async def health(self) -> Health:
        return await self._get("/health", Health)

    async def queues(self) -> QueueList:
        """Task queues as the API saw them last, with what is wrong with them."""
        return await self._get("/queues", QueueList)

    async def whoami(self) -> WhoAmI:
        return await self._get("/whoami", WhoAmI)

    async def web_ui_ticket(self) -> WebUiTicket:
        """A link that logs one browser in to the Web UI; each call makes another."""
        return await self._post("/web-ui-tickets", WebUiTicket, None, repeatable=False)

    async def create_user(self, body: UserCreate) -> UserCreated:
        return await self._post("/users", UserCreated, body, repeatable=False)

    async def users(self) -> list[UserDTO]:
        return [user async for page in self._pages("/users", UserList) for user in page.items]

    async def create_token(self, body: TokenRequest) -> TokenCreated:
        return await self._post("/tokens", TokenCreated, body, repeatable=False)

    async def costs(self, **wanted: str | None) -> CostReport:
        """What agents have cost; `wanted` may name month, project_id and by."""
        params = {name: value for name, value in wanted.items() if value is not None}
        return await self._get("/costs", CostReport, params)

    # Projects and their secrets

    async def create_project(self, body: ProjectCreate) -> ProjectDTO:
        return await self._post("/projects", ProjectDTO, body)

    async def projects(self, *, include_archived: bool = False, named: str | None = None) -> list[ProjectDTO]:
        """Those that the caller may see; with `named` only what the caller means by this name or id."""
        params = {"include_archived": "true"} if include_archived else {}
        params |= {"named": named} if named is not None else {}
        return [project async for page in self._pages("/projects", ProjectList, params) for project in page.items]

    async def project(self, project_id: str) -> ProjectResponse:
        return await self._get(f"/projects/{_part(project_id)}", ProjectResponse)

    async def update_project(self, project_id: str, body: ProjectUpdate) -> ProjectDTO:
        return await self._request("PATCH", f"/projects/{_part(project_id)}", ProjectDTO, body)

    async def transfer_project(self, project_id: str, user_id: int) -> ProjectDTO:
        path = f"/projects/{_part(project_id)}/transfer"
        return await self._post(path, ProjectDTO, ProjectTransfer(user_id=user_id))

    async def project_deletion(self, project_id: str) -> ProjectDeletion:
        """What a deletion would take away; nothing changes."""
        return await self._get(f"/projects/{_part(project_id)}/deletion", ProjectDeletion)

    async def delete_project(self, project_id: str, confirm: str) -> ProjectDeletion:
        """Delete for good; `confirm` is the project's name."""
        path = f"/projects/{_part(project_id)}"
        reply = await self._send("DELETE", path, params={"confirm": confirm}, repeatable=False)
        return _parsed(ProjectDeletion, reply.content)

    async def checks(self, project_id: str, *, dropped: bool = False) -> list[KeptCheckDTO]:
        """What the project has promised; with what somebody has dropped if asked for."""
        path, params = f"/projects/{_part(project_id)}/checks", {"dropped": "true"} if dropped else {}
        return [check async for page in self._pages(path, KeptCheckList, params) for check in page.items]

    async def drop_check(self, project_id: str, check_id: str) -> KeptCheckDTO:
        path = f"/projects/{_part(project_id)}/checks/{_part(check_id)}"
        return await self._request("DELETE", path, KeptCheckDTO, None)

    async def memory(self, project_id: str) -> ProjectMemory:
        """What the project remembers, as the next task begins with it."""
        return await self._get(f"/projects/{_part(project_id)}/memory", ProjectMemory)

    async def edit_memory(self, project_id: str, edit: MemoryEdit) -> ProjectMemory:
        """Replace it; raises CONFLICT when it is not what was read."""
        return await self._request("PUT", f"/projects/{_part(project_id)}/memory", ProjectMemory, edit)

    async def secrets(self, project_id: str) -> list[SecretDTO]:
        return (await self._get(f"/projects/{_part(project_id)}/secrets", SecretList)).items

    async def set_secret(self, project_id: str, name: str, value: SecretStr) -> SecretDTO:
        path = f"/projects/{_part(project_id)}/secrets/{_part(name)}"
        return await self._request("PUT", path, SecretDTO, SecretWrite(value=value))

    async def show_secret(self, project_id: str, name: str) -> SecretShown:
        """A generated value, for the project's owner, once."""
        path = f"/projects/{_part(project_id)}/secrets/{_part(name)}/show"
        return await self._post(path, SecretShown, None, repeatable=False)

    async def delete_secret(self, project_id: str, name: str) -> None:
        await self._send("DELETE", f"/projects/{_part(project_id)}/secrets/{_part(name)}")

    async def platform_secrets(self) -> list[PlatformSecretDTO]:
        """The installation's secrets, for administrators; never their values."""
        return (await self._get("/platform-secrets", PlatformSecretList)).items

    async def set_platform_secret(self, name: str, value: SecretStr) -> list[PlatformSecretDTO]:
        path = f"/platform-secrets/{_part(name)}"
        return (await self._request("PUT", path, PlatformSecretList, SecretWrite(value=value))).items

    async def delete_platform_secret(self, name: str) -> None:
        await self._send("DELETE", f"/platform-secrets/{_part(name)}")

    async def settings(self, project_id: str | None = None) -> list[SettingDTO]:
        """Those of the project, or of the installation."""
        return (await self._get(_settings_of(project_id), SettingList)).items

    async def choose_setting(self, project_id: str | None, name: str, value: SettingValue) -> list[SettingDTO]:
        """Choose for the project or the installation; None takes a choice back. All settings as they are then."""
        path = f"{_settings_of(project_id)}/{_part(name)}"
        return (await self._request("PUT", path, SettingList, SettingWrite(value=value))).items

    async def setting_history(self, project_id: str | None, name: str) -> SettingHistory:
        return await self._get(f"{_settings_of(project_id)}/{_part(name)}/history", SettingHistory)

    # Work

    async def start_engineering(self, body: EngineeringStart) -> StartedTask:
        return await self._post("/engineering", StartedTask, body)

    async def start_delivery(self, body: DeliveryStart) -> StartedTask:
        return await self._post("/deliveries", StartedTask, body)

    async def start_deploy(self, body: DeployStart) -> StartedTask:
        return await self._post("/deploys", StartedTask, body)

    async def retry_task(self, task_id: str, body: TaskRetry) -> StartedTask:
        """Go on with a task that has ended early; a repetition is the same retry."""
        return await self._post(f"/tasks/{_part(task_id)}/retry", StartedTask, body)

    async def tasks(
        self, *, project_id: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[TaskDTO]:
        wanted = {"project_id": project_id, "state": state, "limit": str(limit)}
        params = {name: value for name, value in wanted.items() if value is not None}
        return (await self._get("/tasks", TaskList, params)).items

    async def task(self, task_id: str) -> TaskDTO:
        return await self._get(f"/tasks/{_part(task_id)}", TaskDTO)

    async def has_ended(self, task_id: str) -> bool:
        """Whether the task has its final state; False for one that nobody knows."""
        try:
            return (await self.task(task_id)).state.is_final
        except OrchestratorError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            return False

    async def cancel_task(self, task_id: str) -> CancelAccepted:
        return await self._post(f"/tasks/{_part(task_id)}/cancel", CancelAccepted, None)

    async def events(self, task_id: str, *, after: int = 0, limit: int = 500) -> list[StreamedEvent]:
        """Stored events of a task with a `seq` above `after`, oldest first."""
        params = {"after": str(after), "limit": str(limit)}
        return (await self._get(f"/tasks/{_part(task_id)}/events", EventList, params)).items

    async def tree(self, task_id: str) -> TaskTree:
        """A task, all work below it, and what they have asked."""
        return await self._get(f"/tasks/{_part(task_id)}/tree", TaskTree)

    async def watch(self, task_id: str, after: int = 0) -> AsyncIterator[StreamedEvent]:
        """Events of a task and of all work below it, each once, until the task is final; resumes by itself after a cut.

        `after` skips events of the task itself. Raises API_UNREACHABLE when the API does not answer ten reconnections
        (half a minute) in a row.
        """
        cursor, failures = f"{task_id}:{after}" if after else "", 0
        while True:
            before = cursor
            try:
                async for place, event in self._stream(task_id, cursor):
                    cursor, failures = place, 0
                    yield event
            except _Closed:
                return
            except (httpx.TransportError, SSEError, OrchestratorError) as error:
                failures += 1
                if isinstance(error, OrchestratorError) and not (error.retryable and failures <= _RECONNECTIONS):
                    raise
                if failures > _RECONNECTIONS:
                    raise self._unreachable(error) from error
            if failures or cursor == before:
                await _pause(failures)

    async def _stream(self, task_id: str, cursor: str) -> AsyncIterator[tuple[str, StreamedEvent]]:
        """The events after the cursor, each with the cursor after it. Raises `_Closed` when there are no more."""
        timeout = httpx.Timeout(self._timeout_s, read=_STREAM_SILENCE_S)
        headers = {**self._headers, **({"Last-Event-ID": cursor} if cursor else {})}
        path = f"/tasks/{_part(task_id)}/stream"
        async with aconnect_sse(self._http, "GET", path, headers=headers, timeout=timeout) as source:
            if source.response.status_code == httpx.codes.NO_CONTENT:
                raise _Closed
            if source.response.status_code != httpx.codes.OK:
                await source.response.aread()
                raise _refusal(source.response)
            async for message in source.aiter_sse():
                if message.data and message.event in {"message", "progress"}:
                    yield message.id, _parsed(StreamedEvent, message.data)

    # Agent workers

    async def create_worker(self, body: WorkerCreate) -> AgentWorkerDTO:
        return await self._post("/workers", AgentWorkerDTO, body)

    async def workers(
        self, *, project_id: str | None = None, include_ended: bool = False, limit: int = 100
    ) -> list[AgentWorkerDTO]:
        """Those that the caller may see, newest first; without `include_ended` only those that have not ended."""
        params = {"limit": str(limit)} | ({"project_id": project_id} if project_id else {})
        params |= {"include_ended": "true"} if include_ended else {}
        return (await self._get("/workers", AgentWorkerList, params)).items

    async def worker(self, worker_id: str) -> AgentWorkerDTO:
        return await self._get(f"/workers/{_part(worker_id)}", AgentWorkerDTO)

    async def send_worker_message(self, worker_id: str, body: WorkerMessage, *, wait_s: int = 0) -> WorkerMessageReply:
        """One turn. Waits for its end for `wait_s` seconds at most; the same body again attaches to the same turn."""
        path = f"/workers/{_part(worker_id)}/messages?wait_s={wait_s}"
        return await self._post(path, WorkerMessageReply, body)

    async def send_worker_file(self, worker_id: str, body: WorkerFile) -> SendFileResponse:
        return await self._post(f"/workers/{_part(worker_id)}/files", SendFileResponse, body)

    async def steer_worker(self, worker_id: str, body: WorkerSteer) -> SteerWorkerResponse:
        return await self._post(f"/workers/{_part(worker_id)}/steer", SteerWorkerResponse, body)

    async def stop_worker_turn(self, worker_id: str, body: WorkerRequest) -> StopTurnResponse:
        return await self._post(f"/workers/{_part(worker_id)}/stop", StopTurnResponse, body)

    async def raise_worker_budget(self, worker_id: str, body: WorkerBudgetRaise) -> ModelBudget:
        return await self._post(f"/workers/{_part(worker_id)}/budget", ModelBudget, body)

    async def delete_worker(self, worker_id: str) -> DeleteWorkerResponse:
        reply = await self._send("DELETE", f"/workers/{_part(worker_id)}")
        return _parsed(DeleteWorkerResponse, reply.content)

    async def log_agent_out(self, agent: AgentKind, user_id: int) -> None:
        """Raises CONFLICT while an agent worker uses the log-in."""
        await self._send("POST", f"/agent-logins/{agent.value}/logout", params={"user_id": str(user_id)})

    async def worker_events(
        self, worker_id: str, *, after: int = 0, wait_s: int = 0, limit: int = 500
    ) -> list[WorkerEvent]:
        """Events with a `seq` above `after`, oldest first. Without any it waits for the first for `wait_s` seconds."""
        params = {"after": str(after), "wait_s": str(wait_s), "limit": str(limit)}
        return (await self._get(f"/workers/{_part(worker_id)}/events", WorkerEventList, params)).items

    async def worker_artifact(self, worker_id: str, sha256: str, offset: int = 0) -> ArtifactContent:
        """A slice of a transcript from `offset` bytes on."""
        path = f"/workers/{_part(worker_id)}/artifacts/{_part(sha256)}"
        return await self._get(path, ArtifactContent, {"offset": str(offset)})

    async def artifact(self, task_id: str, sha256: str, offset: int = 0) -> ArtifactContent:
        """A slice of a task's artifact from `offset` bytes on."""
        path = f"/tasks/{_part(task_id)}/artifacts/{_part(sha256)}"
        return await self._get(path, ArtifactContent, {"offset": str(offset)})

    async def picture(self, uri: str) -> bytes:
        """A picture of a page, as the result of a task names it: `artifact://<sha256>/<name>`."""
        sha256, _, name = uri.removeprefix("artifact://").partition("/")
        return (await self._send("GET", f"/pictures/{_part(sha256)}/{_part(name)}")).content

    # Questions

    async def questions(self, *, project_id: str | None = None, state: str | None = "open") -> list[QuestionDTO]:
        wanted = {"project_id": project_id, "state": state}
        params = {name: value for name, value in wanted.items() if value is not None}
        return [question async for page in self._pages("/questions", QuestionList, params) for question in page.items]

    async def question(self, question_id: str) -> QuestionDTO:
        return await self._get(f"/questions/{_part(question_id)}", QuestionDTO)

    async def answer(self, question_id: str, body: AnswerRequest) -> AnswerAccepted:
        return await self._post(f"/questions/{_part(question_id)}/answer", AnswerAccepted, body)

    # Servers

    async def create_server(self, body: ServerCreate) -> ServerDTO:
        return await self._post("/servers", ServerDTO, body, repeatable=False)

    async def servers(self) -> list[ServerDTO]:
        return [server async for page in self._pages("/servers", ServerList) for server in page.items]

    async def server(self, handle: str) -> ServerDTO:
        """Raises OrchestratorError NOT_FOUND when there is none."""
        return await self._get(f"/servers/{_part(handle)}", ServerDTO)

    async def update_server(self, handle: str, body: ServerUpdate) -> ServerDTO:
        return await self._request("PATCH", f"/servers/{_part(handle)}", ServerDTO, body)

    async def releases(self, project_id: str) -> list[DeploymentDTO]:
        """The releases of a project, newest first."""
        path = f"/projects/{_part(project_id)}/releases"
        return [release async for page in self._pages(path, DeploymentList) for release in page.items]

    # What only the platform's own processes may call

    async def apply_projection(self, projection: Projection) -> ProjectionAck:
        return await self._request("PUT", "/internal/projections", ProjectionAck, projection)

    async def record_worker(self, projection: AgentWorkerProjection) -> AgentWorkerAck:
        """What an agent worker is now, written by its own workflow."""
        path = f"/internal/workers/{_part(projection.worker_id)}"
        return await self._request("PUT", path, AgentWorkerAck, projection)

    async def open_tasks(self) -> list[OpenTask]:
        """Everybody's tasks that have not ended."""
        found: list[OpenTask] = []
        while True:
            after = {"after": found[-1].id} if found else {}
            page = (await self._get("/internal/tasks", OpenTaskList, after)).items
            if not page:
                return found
            found += page

    async def open_workers(self) -> list[OpenWorker]:
        """Everybody's agent workers that have not ended."""
        found: list[OpenWorker] = []
        while True:
            after = {"after": found[-1].told.worker_id} if found else {}
            page = (await self._get("/internal/workers", OpenWorkerList, after)).items
            if not page:
                return found
            found += page

    async def tidy(self) -> Tidied:
        """Delete what nobody can use any more."""
        return await self._post("/internal/tidy", Tidied, None)

    async def post_events(self, task_id: str, events: list[FineEvent]) -> None:
        """Store fine events; those whose key is known already are left as they are."""
        if events:
            await self._post("/internal/events", EventsAccepted, EventBatch(task_id=task_id, events=events))

    async def project_checks(self, project_id: str, task_id: str = "") -> ProjectChecks:
        """What the project has promised, and what the task has proposed."""
        params = {"task_id": task_id} if task_id else None
        return await self._get(f"/internal/projects/{_part(project_id)}/checks", ProjectChecks, params)

    async def propose_checks(self, project_id: str, task_id: str, checks: ProposedChecks) -> ProposedChecks:
        """Record the checks of a task, in place of those that it had."""
        path = f"/internal/projects/{_part(project_id)}/checks/proposed/{_part(task_id)}"
        return await self._request("PUT", path, ProposedChecks, checks)

    async def keep_checks(self, project_id: str, task_id: str, kept: KeepChecks) -> ChecksKept:
        """What the task has proposed and was met is promised from now on, as far as there is room."""
        path = f"/internal/projects/{_part(project_id)}/checks/proposed/{_part(task_id)}/keep"
        answer = await self._send("POST", path, body=kept)
        return _parsed(ChecksKept, answer.content or b"{}")  # an older API says nothing

    async def memory_to_write(self, project_id: str, task_id: str) -> MemoryToWrite:
        """What the project's memory has that its repository has not."""
        path = f"/internal/projects/{_part(project_id)}/memory"
        return await self._get(path, MemoryToWrite, {"task_id": task_id})

    async def report_failure(self, project_id: str, failure: FailureReport) -> None:
        """Remember what went wrong; the same failure again changes nothing."""
        await self._send("POST", f"/internal/projects/{_part(project_id)}/memory/failures", body=failure)

    async def memory_published(self, project_id: str, published: MemoryPublished) -> None:
        """The memory as main has it now."""
        await self._send("PUT", f"/internal/projects/{_part(project_id)}/memory/published", body=published)

    async def egress_hosts(self, project_id: str) -> list[str]:
        """What agents of the project may reach; nothing for what is no project."""
        return (await self._get(f"/internal/projects/{project_id}/egress", EgressHosts)).hosts

    async def generate_secrets(self, project_id: str, names: list[str]) -> None:
        path = f"/internal/projects/{_part(project_id)}/secrets/generate"
        await self._post(path, SecretNames, SecretGenerate(names=names))

    async def secret_names(self, project_id: str) -> list[str]:
        return (await self._get(f"/internal/projects/{_part(project_id)}/secrets", SecretNames)).present

    async def reveal_secrets(self, refs: list[str]) -> dict[str, str]:
        if not refs:
            return {}
        return (await self._post("/internal/secrets/reveal", SecretValues, SecretReveal(refs=refs))).values

    async def allocate_ports(
        self, project_id: str, services: list[str], avoid: Sequence[int] = ()
    ) -> PortAllocationDTO:
        body = PortAllocationRequest(project_id=project_id, services=services, avoid=list(avoid))
        return await self._post("/internal/ports", PortAllocationDTO, body)

    async def artifact_fates(self, hashes: list[str]) -> ArtifactFates:
        """Platform only: which of at most a thousand artifacts are kept, and which may go."""
        return await self._post("/internal/artifacts/fates", ArtifactFates, ArtifactHashes(items=hashes))

    async def register_server(self, server: ServerCreate) -> ServerDTO:
        """Platform only: a server that the platform runs itself; the same handle is brought up to date."""
        return await self._request("PUT", "/internal/servers", ServerDTO, server)

    async def record_release(self, release: DeploymentRecord) -> DeploymentDTO:
        return await self._request("PUT", "/internal/releases", DeploymentDTO, release)

    async def active_releases(self) -> list[DeploymentDTO]:
        """What serves now, of all projects."""
        return (await self._get("/internal/releases/active", DeploymentList)).items

    async def record_health(self, release_id: str, seen: ReleaseHealth) -> None:
        await self._request("PUT", f"/internal/releases/{_part(release_id)}/health", DeploymentDTO, seen)

    async def open_model_turn(self, body: OpenModelTurn) -> ModelTurn:
        return await self._post("/internal/model-turns", ModelTurn, body)

    async def model_spending(self, worker_id: str, turn: int) -> ModelSpending:
        return await self._get(f"/internal/model-turns/{_part(worker_id)}/{turn}", ModelSpending)

    async def end_model_turn(self, worker_id: str, turn: int) -> ModelSpending:
        """The turn's token opens nothing from now on."""
        return await self._post(f"/internal/model-turns/{_part(worker_id)}/{turn}/end", ModelSpending, None)

    async def raise_model_budget(self, body: RaiseModelBudget) -> ModelBudget:
        return await self._post("/internal/model-budgets", ModelBudget, body)

    async def estimate_cost(self, body: CostEstimateRequest) -> CostEstimate:
        return await self._post("/internal/cost-estimates", CostEstimate, body)

    # How a request is made

    async def _get(self, path: str, reply: type[Model], params: Mapping[str, str] | None = None) -> Model:
        return _parsed(reply, (await self._send("GET", path, params=params)).content)

    async def _pages(
        self, path: str, reply: type[PageModel], params: Mapping[str, str] | None = None
    ) -> AsyncIterator[PageModel]:
        """All parts of a list, one after the other."""
        wanted = {"limit": str(_PAGE), **(params or {})}
        while True:
            page = await self._get(path, reply, wanted)
            yield page
            if page.next_cursor is None:
                return
            wanted["cursor"] = page.next_cursor

    async def _post(self, path: str, reply: type[Model], body: BaseModel | None, *, repeatable: bool = True) -> Model:
        return await self._request("POST", path, reply, body, repeatable=repeatable)

    async def _request(
        self, method: str, path: str, reply: type[Model], body: BaseModel | None, *, repeatable: bool = True
    ) -> Model:
        return _parsed(reply, (await self._send(method, path, body=body, repeatable=repeatable)).content)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | None = None,
        params: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> httpx.Response:
        payload = None if body is None else _revealed(body.model_dump(mode="python", warnings=False))
        if path.startswith(_INTERNAL):
            payload = cleaned_in(payload)
        attempts = AsyncRetrying(
            # A server that takes connections and says nothing is waited for once, not for each attempt.
            stop=stop_after_attempt(self._attempts if repeatable else 1) | stop_after_delay(self._retry_for_s),
            wait=wait_exponential_jitter(multiplier=0.1, max=2.0, jitter=0.1),
            retry=retry_if_exception(lambda error: isinstance(error, OrchestratorError) and error.retryable),
            reraise=True,
        )
        return await attempts(self._once, method, path, payload, params)

    async def _once(self, method: str, path: str, payload: object, params: Mapping[str, str] | None) -> httpx.Response:
        try:
            response = await self._http.request(method, path, json=payload, params=params, headers=self._headers)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        self.has_answered = True
        if response.is_error or response.is_redirect:
            raise _refusal(response)
        return response

    def _unreachable(self, error: Exception) -> OrchestratorError:
        return OrchestratorError(
            ErrorCode.API_UNREACHABLE,
            f"No answer from the API at {self.base_url}. On its machine, `orchestrator status` shows which part is "
            "not running, and `orchestrator up` starts it.",
            error_class=ErrorClass.TRANSIENT,
            details={"cause": f"{type(error).__name__}: {error}"},
        )


def _settings_of(project_id: str | None) -> str:
    return "/settings" if project_id is None else f"/projects/{_part(project_id)}/settings"


def _part(value: str) -> str:
    """One path segment: nothing in an id can leave its place in the path."""
    try:
        quoted = quote(value, safe="")
    except UnicodeEncodeError:
        quoted = ""
    if not quoted or value in {".", ".."} or len(value) > 300:
        raise OrchestratorError(ErrorCode.INVALID_INPUT, "That is not an id: it is empty, too long or not text.")
    return quoted


path_part = _part
"""For the clients that extend this one."""


def _revealed(value: object) -> object:
    """JSON values of a dumped model, with the real text of secrets: the body is their only way to the store."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: _revealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_revealed(item) for item in value]
    jsonable: object = to_jsonable_python(value)
    return jsonable


def _parsed(reply: type[Model], content: bytes | str) -> Model:
    try:
        return reply.model_validate_json(content)
    except ValidationError as error:
        raise OrchestratorError(
            ErrorCode.INTERNAL,
            "This program does not understand the API's answer. "
            "Do both have the same version? See `orchestrator doctor`.",
            error_class=ErrorClass.FATAL,
            details={"reply": reply.__name__, "problems": str(error.errors(include_input=False, include_url=False))},
        ) from None


def _refusal(response: httpx.Response) -> OrchestratorError:
    """The error that the API raised, from its problem document; by status when there is none."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return _without_problem(response)
    details: dict[str, Any] = {"request_id": problem.request_id}
    if problem.errors:
        details["errors"] = problem.errors
    known = problem.code in ErrorCode.__members__
    code = ErrorCode(problem.code) if known else _by_status(response.status_code)
    return OrchestratorError(code, problem.detail or problem.title, error_class=_class_of(response), details=details)


def _without_problem(response: httpx.Response) -> OrchestratorError:
    return OrchestratorError(
        _by_status(response.status_code),
        f"The server at {response.url.host}:{response.url.port} answered {response.status_code} without saying why. "
        "Is that address really the platform's API? See `orchestrator doctor`.",
        error_class=_class_of(response),
        details={"body": bounded(response.text, 500)},
    )


def _by_status(status: int) -> ErrorCode:
    return _BY_STATUS.get(status, ErrorCode.INTERNAL)


def _class_of(response: httpx.Response) -> ErrorClass:
    temporary = response.status_code >= 500 or response.status_code in {408, 425, 429}
    return ErrorClass.TRANSIENT if temporary else ErrorClass.PERMANENT


async def _in_its_trace(request: httpx.Request) -> None:
    telemetry.add_trace_context(request.headers)


class _Closed(Exception):
    pass


async def _pause(failures: int) -> None:
    """Before the next connection: a server that cuts every stream immediately must not be flooded with requests."""
    await asyncio.sleep(min(5.0, 0.2 * 2**failures))
