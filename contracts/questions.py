"""What a workflow asks a person, and the answer. The first valid answer counts; without one the workflow waits."""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from contracts.base import Actor, Contract, Identifier, Text, UserId, utc_now
from contracts.states import MemberRole, QuestionKind, QuestionState
from contracts.subjects import Subject


class OwnQuestion(StrEnum):
    """What the platform itself asks, in words of its own; what an agent asks has none of these names."""

    MAIN_MOVED = "main-moved"
    AGENT_SILENT = "agent-silent"
    AGENT_FAILED = "agent-failed"
    TURN_STOPPED = "turn-stopped"
    COMMITS_REFUSED = "commits-refused"
    NOTHING_COMMITTED = "nothing-committed"
    SAME_FAILURE = "same-failure"
    STILL_RED = "still-red"
    APPROVE_PLAN = "approve-plan"
    UNMET = "unmet"
    OBJECTIONS = "objections"
    NOT_REVIEWED = "not-reviewed"
    BUDGET_NEARLY_SPENT = "budget-nearly-spent"
    BUDGET_SPENT = "budget-spent"
    USAGE_WINDOW = "usage-window"
    USAGE_WINDOW_HELD = "usage-window-held"
    MODEL_UNAVAILABLE = "model-unavailable"
    MODEL_KEY_REFUSED = "model-key-refused"
    MODEL_REQUEST_REFUSED = "model-request-refused"


class QuestionWording(Contract):
    """With what a client can put a question in a person's language: its name and what it tells. A client that does not
    know the name shows the question's `text`, which says the same in English.
    """

    name: Identifier
    fields: dict[str, Text] = Field(default_factory=dict, max_length=20)


class QuestionDTO(Contract):
    """An open or closed question. `plan_hash` names the plan that an approval is for; `wording` is that of one of the
    platform's own.
    """

    id: Identifier
    workflow_id: str
    task_id: Identifier
    subject: Subject
    user_id: UserId
    kind: QuestionKind
    state: QuestionState = QuestionState.OPEN
    text: Text
    choices: list[str] = Field(default_factory=list, max_length=20)
    secret_names: list[str] = Field(default_factory=list, max_length=50)
    plan_hash: str | None = None
    wording: QuestionWording | None = None
    answer: str | None = Field(default=None, max_length=4_000)
    answered_by: int | None = None
    created_at: AwareDatetime = Field(default_factory=utc_now)
    closed_at: AwareDatetime | None = None

    @property
    def is_agents(self) -> bool:
        """Whether an agent asks, and not the platform: what it offers are its own words, whatever they look like."""
        if self.kind is not QuestionKind.CLARIFICATION:
            return False
        return self.wording is None or self.wording.name == OwnQuestion.AGENT_SILENT


class AnswerCommand(Contract):
    """A person's answer, sent to the workflow that asked as a validated update.

    `member_role` is the actor's role in the question's subject, as the API has looked it up; None for no member.

    The update id is chosen by the caller, so a repeated answer is the same answer. A secret's value never
    travels here: it goes to the secret store, and `secret_stored` says that it is there.
    """

    question_id: Identifier
    actor: Actor
    member_role: MemberRole | None = None
    text: Text = ""
    plan_hash: str | None = None
    secret_stored: bool = False


class AnswerAccepted(Contract):
    question_id: str
    accepted: bool = True
    message: str = ""
