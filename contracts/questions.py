"""What a workflow asks a person, and the answer. First valid answer wins; silence holds."""

from pydantic import AwareDatetime, Field

from contracts.base import Actor, Contract, Identifier, Text, UserId, utc_now
from contracts.states import QuestionKind, QuestionState


class QuestionDTO(Contract):
    """An open or closed question. `plan_hash` names the plan that an approval is for."""

    id: Identifier
    workflow_id: str
    task_id: Identifier
    project_id: Identifier
    user_id: UserId
    kind: QuestionKind
    state: QuestionState = QuestionState.OPEN
    text: Text
    choices: list[str] = Field(default_factory=list, max_length=20)
    secret_names: list[str] = Field(default_factory=list, max_length=50)
    plan_hash: str | None = None
    answer: str | None = Field(default=None, max_length=4_000)
    answered_by: int | None = None
    created_at: AwareDatetime = Field(default_factory=utc_now)
    closed_at: AwareDatetime | None = None


class AnswerCommand(Contract):
    """A person's answer, sent to the workflow that asked as a validated update.

    The update id is chosen by the caller, so a repeated answer is the same answer. A secret's value never
    travels here: it goes to the secret store, and `secret_stored` says that it is there.
    """

    question_id: Identifier
    actor: Actor
    text: Text = ""
    plan_hash: str | None = None
    secret_stored: bool = False


class AnswerAccepted(Contract):
    question_id: str
    accepted: bool = True
    message: str = ""
