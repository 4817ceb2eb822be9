"""The tables of agent workers."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, ForeignKey, Index, String, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from api.tables import ID, STATE, Document, json_column, time_column
from contracts.states import AgentWorkerState

ENDED_WORKERS = frozenset({AgentWorkerState.FAILED.value, AgentWorkerState.DELETED.value})
"""States of agent workers that have ended."""


class AgentWorkerRow(SQLModel, table=True):
    """`seq` is the last accepted projection; `last_event_seq` the newest of its own events.

    One that works for a task has none: what it does is in the task's stream. `user_id` is whose it is, without a
    foreign key: what a removed person has left stays readable for administrators.
    """

    __tablename__ = "agent_workers"
    __table_args__ = (
        Index("ix_agent_workers_user", "user_id", "created_at"),
        Index("ix_agent_workers_project", "project_id", "created_at"),
        Index("ix_agent_workers_transcripts", "transcripts", postgresql_using="gin"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    user_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    project_id: str | None = Field(default=None, sa_column=Column(ID))
    task_id: str | None = Field(default=None, sa_column=Column(ID))
    name: str = Field(sa_column=Column(String(100), nullable=False))
    agent: str = Field(sa_column=Column(STATE, nullable=False))
    state: str = Field(sa_column=Column(STATE, nullable=False))
    turns: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    run_id: str = Field(default="", sa_column=Column(String(100), nullable=False))
    last_event_seq: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    current_request: str | None = Field(default=None, sa_column=Column(String(200)))
    session_id: str | None = Field(default=None, sa_column=Column(String(200)))
    repository: str | None = Field(default=None, sa_column=Column(String(201)))
    branch: str | None = Field(default=None, sa_column=Column(String(200)))
    commit: str | None = Field(default=None, sa_column=Column(String(40)))
    note: str | None = Field(default=None, sa_column=Column(Text))
    cost_usd: float | None = Field(default=None, sa_column=Column(Double))
    unmetered: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    uses_login: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    transcripts: list[Document] = json_column(default_factory=list)
    last_event: Document | None = json_column(nullable=True, default=None)
    expires_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    created_at: datetime = time_column()
    updated_at: datetime = time_column()


class AgentWorkerEventRow(SQLModel, table=True):
    """What an agent worker without a task did. `seq` is given under its row's lock, so a reader never misses one."""

    __tablename__ = "agent_worker_events"
    __table_args__ = (UniqueConstraint("worker_id", "key"),)

    worker_id: str = Field(sa_column=Column(ForeignKey("agent_workers.id"), primary_key=True))
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    key: str = Field(sa_column=Column(String(400), nullable=False))
    event: Document = json_column()
    created_at: datetime = time_column()
