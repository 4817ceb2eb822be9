"""The database's tables. States are stored as their text, documents of the contracts as JSONB.

What crosses the HTTP boundary is never a row: the `replies` of each package turn rows into models of `contracts`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from contracts.base import utc_now
from contracts.states import ProviderKind, SubjectKind, UserState
from contracts.subjects import Subject

Document = dict[str, Any]

ID = String(100)
STATE = String(30)
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA = SQLModel.metadata
METADATA.naming_convention = NAMING


def _time() -> Any:  # noqa: ANN401 - SQLModel's Field is a value of the field's own type
    return Field(default_factory=utc_now, sa_column=Column(DateTime(timezone=True), nullable=False))


def _json(*, nullable: bool = False, **options: Any) -> Any:  # noqa: ANN401 - see _time
    return Field(sa_column=Column(JSONB(none_as_null=True), nullable=nullable), **options)


time_column, json_column = _time, _json
"""For the tables of packages that have their own."""


def _subject_kind() -> Any:  # noqa: ANN401 - see _time
    return Field(sa_column=Column(STATE, nullable=False))


def _subject_id() -> Any:  # noqa: ANN401 - see _time
    return Field(sa_column=Column(ID, nullable=False))


def subject_columns(subject: Subject) -> Document:
    """The columns of a row that belongs to the subject."""
    return {"subject_kind": subject.kind.value, "subject_id": subject.id}


class UserRow(SQLModel, table=True):
    __tablename__ = "users"

    user_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    role: str = Field(sa_column=Column(STATE, nullable=False))
    name: str = Field(sa_column=Column(String(200), nullable=False))
    language: str | None = Field(default=None, sa_column=Column(String(10)))
    state: str = Field(default=UserState.ACTIVE.value, sa_column=Column(STATE, nullable=False))
    created_at: datetime = _time()


class CredentialRow(SQLModel, table=True):
    """What somebody may come in with: a key, an agent's token, a login link, the session of a browser.

    `secret_hash` is the SHA-256 of 256 random bits: there is nothing to guess, so no slow hash is needed. A row that
    has ended stays, so that no file that still has the secret can bring it back. `made_with` is a credential of the
    same table, without a foreign key: it may have been tidied away.
    """

    __tablename__ = "credentials"
    __table_args__ = (UniqueConstraint("secret_hash"), Index("ix_credentials_user_id", "user_id", "created_at"))

    id: str = Field(sa_column=Column(ID, primary_key=True))
    kind: str = Field(sa_column=Column(STATE, nullable=False))
    secret_hash: str = Field(sa_column=Column(String(64), nullable=False))
    user_id: int = Field(sa_column=Column(ForeignKey("users.user_id"), nullable=False))
    name: str = Field(default="", sa_column=Column(String(200), nullable=False))
    made_with: str | None = Field(default=None, sa_column=Column(ID, index=True))
    project_id: str | None = Field(default=None, sa_column=Column(ForeignKey("projects.id"), index=True))
    commands: list[str] | None = _json(default=None, nullable=True)
    address: str | None = Field(default=None, sa_column=Column(String(100)))
    created_at: datetime = _time()
    expires_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True), index=True))
    ended_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class AuditRow(SQLModel, table=True):
    """One act. Triggers of the migration refuse to change or delete a row, also for our own code."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_user_id", "user_id", "id"), Index("ix_audit_action", "action", "id"))

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    at: datetime = _time()
    user_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    role: str | None = Field(default=None, sa_column=Column(STATE))
    via: str = Field(sa_column=Column(STATE, nullable=False))
    credential: str | None = Field(default=None, sa_column=Column(ID))
    address: str | None = Field(default=None, sa_column=Column(String(100)))
    action: str = Field(sa_column=Column(String(60), nullable=False))
    target: str = Field(default="", sa_column=Column(String(400), nullable=False))
    result: str = Field(sa_column=Column(String(60), nullable=False))
    details: Document = _json(default_factory=dict)
    request_id: str = Field(default="", sa_column=Column(ID, nullable=False))


class ProjectRow(SQLModel, table=True):
    """`create_hash` is the fingerprint of the body that created it: the same id again must mean the same.

    `repository` is `org/name` at the forge, and no other project's. `scaffolded`: there is something in it. `serving`
    says what serves if that is not simply the active release.
    `deleted_at`: nothing but this row is left, which keeps id, slug and repository from being another project's.
    """

    __tablename__ = "projects"
    __table_args__ = (UniqueConstraint("owner_id", "name"), UniqueConstraint("slug"), UniqueConstraint("repository"))

    id: str = Field(sa_column=Column(ID, primary_key=True))
    owner_id: int = Field(sa_column=Column(ForeignKey("users.user_id"), nullable=False))
    name: str = Field(sa_column=Column(String(63), nullable=False))
    slug: str = Field(sa_column=Column(String(80), nullable=False))
    title: str = Field(sa_column=Column(String(200), nullable=False))
    description: str = Field(sa_column=Column(Text, nullable=False))
    modules: list[str] = _json()
    spec: Document | None = _json(default=None, nullable=True)
    status: str = Field(sa_column=Column(STATE, nullable=False))
    repository: str = Field(sa_column=Column(String(201), nullable=False))
    scaffolded: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    url: str | None = Field(default=None, sa_column=Column(Text))
    serving: str | None = Field(default=None, sa_column=Column(Text))
    create_hash: str = Field(sa_column=Column(String(64), nullable=False))
    created_at: datetime = _time()
    updated_at: datetime = _time()
    deleted_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class MembershipRow(SQLModel, table=True):
    """The role of a person in a subject; `api.visibility` says what each role may."""

    __tablename__ = "memberships"
    __table_args__ = (Index("ix_memberships_subject", "subject_kind", "subject_id"),)

    user_id: int = Field(sa_column=Column(ForeignKey("users.user_id"), primary_key=True))
    subject_kind: str = Field(sa_column=Column(STATE, primary_key=True))
    subject_id: str = Field(sa_column=Column(ID, primary_key=True))
    role: str = Field(sa_column=Column(STATE, nullable=False))
    created_at: datetime = _time()


class SettingRow(SQLModel, table=True):
    """A version of a setting; rows are only added. `value` None takes back what was set before."""

    __tablename__ = "settings"

    subject_kind: str = Field(sa_column=Column(STATE, primary_key=True))
    subject_id: str = Field(sa_column=Column(ID, primary_key=True))
    name: str = Field(sa_column=Column(String(100), primary_key=True))
    version: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    value: Any = _json(default=None, nullable=True)
    changed_by: int = Field(sa_column=Column(ForeignKey("users.user_id"), nullable=False))
    changed_at: datetime = _time()


class ProjectCheckRow(SQLModel, table=True):
    """A check that a project has promised to pass. `number` only grows within a project, and gives the order.

    `dropped_at`: somebody has given it up; promised again it is kept again.
    """

    __tablename__ = "project_checks"

    project_id: str = Field(sa_column=Column(ForeignKey("projects.id"), primary_key=True))
    id: str = Field(sa_column=Column(ID, primary_key=True))
    task_id: str = Field(sa_column=Column(ID, nullable=False))
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
    check_document: Document = _json()
    criterion: Document = _json()
    kept_at: datetime = _time()
    dropped_by: int | None = Field(default=None, sa_column=Column(BigInteger))
    dropped_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class ProjectMemoryRow(SQLModel, table=True):
    """What a project remembers. `text` is the file as `commit` has it; `edited`, which takes its place, and `failures`
    are not in the repository yet. `offered_edit` is the edit that the task `offered_to` began with.
    """

    __tablename__ = "project_memories"

    project_id: str = Field(sa_column=Column(ForeignKey("projects.id"), primary_key=True))
    text: str = Field(default="", sa_column=Column(Text, nullable=False))
    commit: str | None = Field(default=None, sa_column=Column(String(40)))
    edited: str | None = Field(default=None, sa_column=Column(Text))
    edited_by: int | None = Field(default=None, sa_column=Column(BigInteger))
    edited_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    failures: list[Document] = _json(default_factory=list)
    offered_to: str | None = Field(default=None, sa_column=Column(ID))
    offered_edit: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    updated_at: datetime = _time()


class ProposedChecksRow(SQLModel, table=True):
    """What a task has proposed to promise, until its work is published."""

    __tablename__ = "proposed_checks"

    project_id: str = Field(sa_column=Column(ForeignKey("projects.id"), primary_key=True))
    task_id: str = Field(sa_column=Column(ID, primary_key=True))
    document: Document = _json()
    proposed_at: datetime = _time()


class TaskRow(SQLModel, table=True):
    """`seq` is the last accepted projection; `last_event_seq` the newest event of the task's stream."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_subject_created_at", "subject_kind", "subject_id", "created_at"),
        Index("ix_tasks_parent_task_id", "parent_task_id"),
        Index("ix_tasks_artifacts", "artifacts", postgresql_using="gin"),
        Index("ix_tasks_open", "id", postgresql_where=text("state IN ('queued', 'running', 'waiting')")),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    kind: str = Field(sa_column=Column(STATE, nullable=False))
    subject_kind: str = _subject_kind()
    subject_id: str = _subject_id()
    user_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    workflow_id: str = Field(sa_column=Column(String(300), nullable=False))
    run_id: str = Field(default="", sa_column=Column(String(100), nullable=False))
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_event_seq: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    title: str = Field(default="", sa_column=Column(String(200), nullable=False))
    state: str = Field(sa_column=Column(STATE, nullable=False))
    stage: str = Field(default="", sa_column=Column(String(100), nullable=False))
    waiting_for: str | None = Field(default=None, sa_column=Column(String(500)))
    question_id: str | None = Field(default=None, sa_column=Column(ID))
    parent_task_id: str | None = Field(default=None, sa_column=Column(ID))
    result: Document = _json(default_factory=dict)
    error_code: str | None = Field(default=None, sa_column=Column(Text))
    error: str | None = Field(default=None, sa_column=Column(Text))
    artifacts: list[Document] = _json(default_factory=list)
    criteria: list[Document] = _json(default_factory=list)
    parts: list[Document] = _json(default_factory=list)
    created_at: datetime = _time()
    updated_at: datetime = _time()

    @property
    def subject(self) -> Subject:
        return Subject(kind=SubjectKind(self.subject_kind), id=self.subject_id)


class EventRow(SQLModel, table=True):
    """One milestone or fine event. `seq` is given under the task's row lock, so a reader never misses a lower one."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("task_id", "grain", "key"),)

    task_id: str = Field(sa_column=Column(ForeignKey("tasks.id"), primary_key=True))
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    grain: str = Field(sa_column=Column(String(10), nullable=False))
    key: str = Field(sa_column=Column(String(400), nullable=False))
    event: Document = _json()
    created_at: datetime = _time()


class QuestionRow(SQLModel, table=True):
    """`answer_id` is the caller's id of the answer that the workflow accepted through this API."""

    __tablename__ = "questions"
    __table_args__ = (
        Index("ix_questions_subject_state", "subject_kind", "subject_id", "state"),
        Index("ix_questions_task_id", "task_id"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    workflow_id: str = Field(sa_column=Column(String(300), nullable=False))
    task_id: str = Field(sa_column=Column(ForeignKey("tasks.id"), nullable=False))
    subject_kind: str = _subject_kind()
    subject_id: str = _subject_id()
    user_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    kind: str = Field(sa_column=Column(STATE, nullable=False))
    state: str = Field(sa_column=Column(STATE, nullable=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    choices: list[str] = _json(default_factory=list)
    secret_names: list[str] = _json(default_factory=list)
    plan_hash: str | None = Field(default=None, sa_column=Column(Text))
    wording: dict[str, Any] | None = _json(nullable=True, default=None)
    answer: str | None = Field(default=None, sa_column=Column(Text))
    answered_by: int | None = Field(default=None, sa_column=Column(BigInteger))
    answer_id: str | None = Field(default=None, sa_column=Column(String(200)))
    created_at: datetime = _time()
    closed_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))

    @property
    def subject(self) -> Subject:
        return Subject(kind=SubjectKind(self.subject_kind), id=self.subject_id)


class SecretRow(SQLModel, table=True):
    """A value under its own data key, and the data key under the vault's master key `key_id`.

    `shown_at`: when its owner has seen a generated value.
    """

    __tablename__ = "secrets"

    project_id: str = Field(sa_column=Column(ForeignKey("projects.id"), primary_key=True))
    name: str = Field(sa_column=Column(String(100), primary_key=True))
    source: str = Field(sa_column=Column(String(10), nullable=False))
    key_id: str = Field(sa_column=Column(String(100), nullable=False, index=True))
    wrapped_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    ciphertext: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    updated_at: datetime = _time()
    shown_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class ServerRow(SQLModel, table=True):
    """`host_key_pinned_by` is who has given the key, None for the platform at its first contact. `status_before` is
    what a reserved server goes back to."""

    __tablename__ = "servers"

    handle: str = Field(sa_column=Column(ID, primary_key=True))
    kind: str = Field(sa_column=Column(STATE, nullable=False))
    public_ip: str = Field(sa_column=Column(String(100), nullable=False))
    ssh_host: str = Field(sa_column=Column(String(100), nullable=False))
    ssh_port: int = Field(sa_column=Column(BigInteger, nullable=False))
    ssh_user: str = Field(sa_column=Column(String(64), nullable=False))
    host_key: str = Field(sa_column=Column(Text, nullable=False))
    status: str = Field(sa_column=Column(STATE, nullable=False))
    ram_mb: int = Field(sa_column=Column(BigInteger, nullable=False))
    disk_mb: int = Field(sa_column=Column(BigInteger, nullable=False))
    port_from: int = Field(sa_column=Column(BigInteger, nullable=False))
    port_to: int = Field(sa_column=Column(BigInteger, nullable=False))
    provider: str = Field(sa_column=Column(STATE, nullable=False, default=ProviderKind.STATIC.value))
    machine_id: str = Field(sa_column=Column(ID, nullable=False, default=""))
    managed: bool = Field(sa_column=Column(Boolean, nullable=False, default=False))
    cpu_cores: int = Field(sa_column=Column(BigInteger, nullable=False, default=0))
    price: str = Field(sa_column=Column(String(100), nullable=False, default=""))
    image: str = Field(sa_column=Column(String(200), nullable=False, default=""))
    provider_seen_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    host_key_pinned_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    host_key_pinned_by: int | None = Field(default=None, sa_column=Column(BigInteger))
    status_before: str | None = Field(default=None, sa_column=Column(STATE))
    created_at: datetime = _time()


class PortAllocationRow(SQLModel, table=True):
    """A project's service keeps its server and port for good."""

    __tablename__ = "port_allocations"
    __table_args__ = (UniqueConstraint("server_handle", "port"),)

    project_id: str = Field(sa_column=Column(ForeignKey("projects.id"), primary_key=True))
    service: str = Field(sa_column=Column(String(100), primary_key=True))
    server_handle: str = Field(sa_column=Column(ForeignKey("servers.handle"), nullable=False))
    port: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = _time()


class ReleaseRow(SQLModel, table=True):
    """`served` says that the release was once the active one: a rollback can only go back to such a release, while it
    is `kept` on its server. `task_id` is the deploy that made it, `moved_by` the task that has changed its state last.
    """

    __tablename__ = "releases"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        Index("uq_releases_one_active", "project_id", unique=True, postgresql_where=text("state = 'active'")),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    project_id: str = Field(sa_column=Column(ForeignKey("projects.id"), nullable=False))
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
    task_id: str = Field(sa_column=Column(ID, nullable=False))
    commit: str = Field(sa_column=Column(String(40), nullable=False))
    state: str = Field(sa_column=Column(STATE, nullable=False))
    served: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    server_handle: str | None = Field(default=None, sa_column=Column(ForeignKey("servers.handle")))
    url: str | None = Field(default=None, sa_column=Column(Text))
    services: list[Document] = _json(default_factory=list)
    error_code: str | None = Field(default=None, sa_column=Column(Text))
    error: str | None = Field(default=None, sa_column=Column(Text))
    log: Document | None = _json(default=None, nullable=True)
    image: str | None = Field(default=None, sa_column=Column(String(100)))
    links: Document = _json(default_factory=dict)
    health: Document | None = _json(default=None, nullable=True)
    kept: bool = Field(default=True, sa_column=Column(Boolean, nullable=False))
    moved_by: str | None = Field(default=None, sa_column=Column(ID))
    created_at: datetime = _time()
    updated_at: datetime = _time()


class IncidentRow(SQLModel, table=True):
    __tablename__ = "incidents"

    id: str = Field(sa_column=Column(ID, primary_key=True))
    server_handle: str = Field(sa_column=Column(ForeignKey("servers.handle"), nullable=False, index=True))
    type: str = Field(sa_column=Column(STATE, nullable=False))
    status: str = Field(sa_column=Column(STATE, nullable=False))
    detected_at: datetime = _time()
    resolved_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    details: str = Field(default="", sa_column=Column(Text, nullable=False))


class ChatScreenRow(SQLModel, table=True):
    """One message of a bot that shows one task. The row exists before the message, and before the task."""

    __tablename__ = "chat_screens"
    __table_args__ = (
        Index("ix_chat_screens_open", "bot_id", postgresql_where=text("NOT final")),
        Index("ix_chat_screens_message", "chat_id", "message_id"),
        Index("ix_chat_screens_user", "user_id"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    bot_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    chat_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    user_id: int = Field(sa_column=Column(ForeignKey("users.user_id"), nullable=False))
    language: str = Field(sa_column=Column(String(10), nullable=False))
    wish: str = Field(sa_column=Column(Text, nullable=False))
    project_id: str | None = Field(default=None, sa_column=Column(ID))
    message_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    task_id: str | None = Field(default=None, sa_column=Column(ID))
    final: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    created_at: datetime = _time()
    updated_at: datetime = _time()


class ChatUpdateRow(SQLModel, table=True):
    """What an update was taken for; never its content, which may be a secret."""

    __tablename__ = "chat_updates"

    id: str = Field(sa_column=Column(ID, primary_key=True))
    subject: str = Field(sa_column=Column(String(200), nullable=False))
    created_at: datetime = Field(
        default_factory=utc_now, sa_column=Column(DateTime(timezone=True), nullable=False, index=True)
    )
