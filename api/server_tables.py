"""Tables beside that of the servers: what opens them, and what people have allowed to be done to them."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, LargeBinary, String
from sqlmodel import Field, SQLModel

from api.tables import ID, STATE, Document, json_column, time_column


class ServerCredentialRow(SQLModel, table=True):
    """What opens a server, such as the password of root: sealed like secrets of projects."""

    __tablename__ = "server_credentials"

    server_handle: str = Field(sa_column=Column(ForeignKey("servers.handle"), primary_key=True))
    name: str = Field(sa_column=Column(String(100), primary_key=True))
    key_id: str = Field(sa_column=Column(String(100), nullable=False, index=True))
    wrapped_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    ciphertext: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    updated_at: datetime = time_column()


class ServerApprovalRow(SQLModel, table=True):
    """One act on one server that somebody has asked for. `plan` is what was shown, `plan_hash` what it comes to.

    `requested_by` is None for the platform. `used_by` is the id of the order.
    """

    __tablename__ = "server_approvals"
    __table_args__ = (Index("ix_server_approvals_server", "server_handle", "requested_at"),)

    id: str = Field(sa_column=Column(ID, primary_key=True))
    server_handle: str = Field(sa_column=Column(ForeignKey("servers.handle"), nullable=False))
    act: str = Field(sa_column=Column(STATE, nullable=False))
    plan: Document = json_column()
    plan_hash: str = Field(sa_column=Column(String(64), nullable=False))
    state: str = Field(sa_column=Column(STATE, nullable=False))
    requested_by: int | None = Field(default=None, sa_column=Column(BigInteger))
    requested_at: datetime = time_column()
    decided_by: int | None = Field(default=None, sa_column=Column(BigInteger))
    decided_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    expires_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    used_by: str | None = Field(default=None, sa_column=Column(ID))
    used_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
