"""What a task, a question or an event belongs to: who may see it follows from that."""

from typing import Annotated, Self

from pydantic import StringConstraints, model_validator

from contracts.base import Contract
from contracts.states import SubjectKind

SubjectId = Annotated[str, StringConstraints(pattern=r"^-?[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", max_length=100)]
"""A project's id, a server's handle, or a chat's number, which is negative for a group."""

INSTALLATION_ID = "installation"


class Subject(Contract):
    """A project, a server, a chat, or the installation as a whole."""

    kind: SubjectKind
    id: SubjectId

    @model_validator(mode="after")
    def _is_the_one_installation(self) -> Self:
        if self.kind is SubjectKind.INSTALLATION and self.id != INSTALLATION_ID:
            raise ValueError(f"there is one installation, and its id is {INSTALLATION_ID!r}")
        return self

    @classmethod
    def project(cls, project_id: str) -> Self:
        return cls(kind=SubjectKind.PROJECT, id=project_id)

    @classmethod
    def server(cls, handle: str) -> Self:
        return cls(kind=SubjectKind.SERVER, id=handle)

    @classmethod
    def chat(cls, chat_id: int) -> Self:
        """`chat_id` is Telegram's."""
        return cls(kind=SubjectKind.CHAT, id=str(chat_id))

    @classmethod
    def installation(cls) -> Self:
        return cls(kind=SubjectKind.INSTALLATION, id=INSTALLATION_ID)

    @property
    def project_id(self) -> str | None:
        """The project's id; None for any other subject."""
        return self.id if self.kind is SubjectKind.PROJECT else None

    def __str__(self) -> str:
        return self.id if self.kind is SubjectKind.INSTALLATION else f"{self.kind.value} {self.id}"
