"""Rows of the database as the contracts' nouns."""

from typing import Any

from api.queue_watch import Stall
from api.tables import (
    ChatScreenRow,
    EventRow,
    IncidentRow,
    ProjectRow,
    QuestionRow,
    ReleaseRow,
    SecretRow,
    ServerRow,
    TaskRow,
    UserRow,
)
from contracts import ids
from contracts.chat import ChatScreenDTO
from contracts.nouns import DeploymentDTO, IncidentDTO, ProjectDTO, SecretDTO, ServerDTO, TaskDTO, UserDTO
from contracts.progress import StreamedEvent
from contracts.questions import QuestionDTO


def user(row: UserRow) -> UserDTO:
    return UserDTO.model_validate(_columns(row))


def project(row: ProjectRow) -> ProjectDTO:
    return ProjectDTO.model_validate(_columns(row, "create_hash"))


def task(row: TaskRow, web_url: str | None, stall: Stall | None = None) -> TaskDTO:
    stalled = {"stalled_queue": stall.queue, "stalled_since": stall.since} if stall else {}
    return TaskDTO.model_validate({**_columns(row, "seq", "last_event_seq"), "web_url": web_url, **stalled})


def event(row: EventRow) -> StreamedEvent:
    return StreamedEvent.model_validate(_columns(row, "key", "created_at"))


def question(row: QuestionRow) -> QuestionDTO:
    return QuestionDTO.model_validate(_columns(row, "answer_id"))


def secret(row: SecretRow) -> SecretDTO:
    return SecretDTO.model_validate(
        {
            "name": row.name,
            "ref": ids.secret_ref(row.project_id, row.name),
            "source": row.source,
            "updated_at": row.updated_at,
        }
    )


def server(row: ServerRow) -> ServerDTO:
    return ServerDTO.model_validate(_columns(row))


def release(row: ReleaseRow) -> DeploymentDTO:
    return DeploymentDTO.model_validate(_columns(row, "served"))


def chat_screen(row: ChatScreenRow) -> ChatScreenDTO:
    return ChatScreenDTO.model_validate(_columns(row))


def incident(row: IncidentRow) -> IncidentDTO:
    return IncidentDTO.model_validate(_columns(row))


Row = UserRow | ProjectRow | TaskRow | EventRow | QuestionRow | ServerRow | ReleaseRow | IncidentRow | ChatScreenRow


def _columns(row: Row, *without: str) -> dict[str, Any]:
    return row.model_dump(exclude=set(without))
