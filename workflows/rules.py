"""Pure decisions of the workflows: no I/O, no clock, no randomness."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from contracts import ids
from contracts import limit_answers as answers
from contracts.base import MAX_TEXT, Contract
from contracts.departments import EngineeringMessage
from contracts.errors import ErrorCode, bounded
from contracts.names import LINK_OF, REVIEW, SCREENSHOT
from contracts.parts import PartOf
from contracts.progress import ProgressEvent, Projection
from contracts.project_spec import ProjectSpec
from contracts.questions import AnswerCommand, OwnQuestion, QuestionDTO, QuestionWording
from contracts.reviews import Review
from contracts.states import AgentKind, MemberRole, QuestionKind, QuestionState, Role, SubjectKind, TaskState
from contracts.suite_figures import SuiteFigures
from contracts.wording import counted

Answer = TypeVar("Answer", bound=Contract)

STOP_WORDS = frozenset({"stop", "cancel", "стоп", "отмена"})
RETRY = "retry"
STOP = "stop"
APPROVE = "approve"
EVERYBODY = "everybody"
"""Whose budget it is that only an admin raises."""
AS_IS = "accept"
"""A person takes the work although something of the wish is not there."""
REFUSED = "refused"
STOPPED = "stopped"
"""The status of a turn whose commits could not be taken."""
_OWN = frozenset({RETRY, STOP, APPROVE, AS_IS, answers.NOW, answers.HOLD, answers.GO_ON, answers.CHEAPER})
"""The choices that the platform itself offers."""

_DIRECTIVE = re.compile(r"\[[a-z]+:[^\]\n]*\]")

UNSHOWN = "What happened could not be recorded in words; the Temporal Web UI has them."


NO_REPOSITORY = "The message has no repository. Start the work through the API, which adds the project's repository."


def is_stop(answer: str) -> bool:
    """Whether an answer ends the work instead of steering it."""
    return answer.strip().lower() in STOP_WORDS


def is_agents_choice(state: Mapping[str, Any], answer: str) -> bool:
    """Whether an answer is one that the agent itself has offered: such words are meant for it, whatever they are."""
    if not _is_agents_question(state):
        return False
    return answer.strip().lower() in {str(choice).strip().lower() for choice in state.get("choices", [])}


def _is_agents_question(state: Mapping[str, Any]) -> bool:
    """Whether the question that the state calls for is the agent's own."""
    return state.get("turn_status") == "question" and state.get("publish_status") != "conflict"


def project_name(message: EngineeringMessage) -> str:
    if message.project_name:
        return message.project_name
    if message.spec:
        return message.spec.name
    return ids.directory_name(message.project_id).replace("_", "-")


def spec_of(message: EngineeringMessage) -> ProjectSpec:
    """The spec of a message; one that carries only a title still says what is wanted."""
    return message.spec or ProjectSpec(name=project_name(message), description=message.title or "")


def task_markdown(message: EngineeringMessage) -> str:
    """TASK.md: the wish in words and as a spec that can be checked."""
    spec = spec_of(message)
    acceptance = (
        "\n".join(f"- {criterion.sentence}" for criterion in spec.acceptance) or "- The project's own checks pass."
    )
    part = f"\n{part_context(message.part)}" if message.part else ""
    return (
        f"# {message.title or spec.name}\n\n{spec.description}\n{part}\n## Acceptance\n{acceptance}\n\n"
        f"## Specification\n```json\n{json.dumps(spec.model_dump(mode='json'), ensure_ascii=False, indent=2)}\n```\n"
    )


def part_context(part: PartOf) -> str:
    """For TASK.md: which part this is, and what the others are. Directives of others are not told."""
    lines = "\n".join(f"- {_DIRECTIVE.sub('', line)}" for line in part.plan)
    return (
        f"## A part of a larger wish\nThis is part {part.number} of {part.total}. Build only this part; what is done "
        f"is in the repository already, the others come later.\n\n{lines}\n"
    )


FIRST_PROMPT = (
    "Read TASK.md, AGENTS.md and, if there is one, MEMORY.md, then complete the task. Run the project's own checks "
    "(`make check test`) and commit your work locally. Never push. If something essential is unclear, ask instead of "
    "guessing."
)


def first_prompt(state: dict[str, Any]) -> str:
    """The message of the first turn; after a retry it says that there is work to build on, and what a person said."""
    parts = [FIRST_PROMPT]
    if state.get("goes_on"):
        parts.append(
            "An earlier attempt at this task has ended early. Its commits are on this branch: look at `git log` first, "
            "and build on them."
        )
    if state.get("advice"):
        parts.append(f"## Advice from the person\n{state['advice']}")
    return bounded("\n\n".join(parts), MAX_TEXT)


def first_step(state: dict[str, Any]) -> str:
    """develop, or the first step that an earlier attempt at the same task has not finished."""
    if not state.get("commit"):
        return "develop"
    if not state.get("tested"):
        return "verify"
    return "publish" if state.get("passed") else "develop"


def repair_prompt(evidence: str) -> str:
    """The message of a turn after red checks."""
    return bounded(
        "The project's own checks failed at your commit, in a clean copy. Repair the cause, run "
        f"`make check test` again and commit.\n\n## Evidence\n{evidence}",
        MAX_TEXT,
    )


def restoring_prompt(evidence: str) -> str:
    """The message of a turn after commits that the platform could not take."""
    return bounded(
        "Your commits could not be taken, so nothing was tested. Put the repository right, run `make check test` and "
        f"commit on top of the commit that you were given.\n\n## Evidence\n{evidence}",
        MAX_TEXT,
    )


def guided_prompt(question: str, answer: str, evidence: str) -> str:
    """The message of a turn after a person's answer."""
    parts = [FIRST_PROMPT, f"## Your question\n{question}", f"## Answer from the person\n{answer}"]
    if evidence:
        parts.append(f"## Evidence\n{evidence}")
    return bounded("\n\n".join(parts), MAX_TEXT)


def after_turn(state: dict[str, Any]) -> str:
    """verify what was committed, or ask a person: an agent that claims success without a commit is not believed.

    Commits that could not be taken go back to it, as red checks do.
    """
    if state.get("turn_status") == REFUSED:
        return after_verification({**state, "passed": False})
    if state.get("turn_status") == "done" and state.get("commit") and state["commit"] != state.get("verified_base"):
        return "verify"
    return "ask"


def after_verification(state: dict[str, Any]) -> str:
    """publish, another round, or a person: after the last round, or for the same failure twice."""
    if state.get("passed"):
        return "publish"
    same_failure = bool(state.get("fingerprint")) and state.get("fingerprint") == state.get("last_fingerprint")
    if same_failure or int(state.get("round", 0)) >= int(state.get("max_rounds", 3)):
        return "ask"
    return "develop"


def after_publish(state: dict[str, Any]) -> str:
    """done, or verify again what was rebased, or a person for a conflict."""
    return {"published": "end", "rebased": "verify"}.get(str(state.get("publish_status")), "ask")


def engineering_question(state: dict[str, Any]) -> tuple[str, list[str], QuestionWording | None]:
    """The text and the choices of the question that the state calls for, and what it takes to say it in another
    language; None for what an agent asks.
    """
    if state.get("publish_status") == "conflict":
        files = bounded(", ".join(state.get("conflict", [])), 2_000)
        text = f"The main branch has moved and conflicts with this work in: {files}. What should happen?"
        return text, [RETRY, STOP], _wording(OwnQuestion.MAIN_MOVED, files=files)
    if _is_agents_question(state):
        asked, choices = str(state.get("question") or ""), list(state.get("choices", []))
        silent = None if asked else _wording(OwnQuestion.AGENT_SILENT)
        return asked or "The agent needs more details.", choices, silent
    if state.get("turn_status") == STOPPED:
        turn = str(state.get("turn") or 1)
        text = f"The agent's turn {turn} was stopped by a person. Its files are kept. "
        end = "Go on in the same session (you may add advice), or stop the task?"
        return f"{text}{end}", [RETRY, STOP], _wording(OwnQuestion.TURN_STOPPED, turn=turn)
    text, wording = _trouble(state)
    return f"{text}Try again (you may add advice), or stop?", [RETRY, STOP], wording


def _trouble(state: dict[str, Any]) -> tuple[str, QuestionWording]:
    """Why a person is asked whether to try again; ends with what separates it from that."""
    evidence = bounded(str(state.get("evidence", "")), 2_900)
    if state.get("turn_status") == "failed":
        reason = str(state.get("summary") or "no reason given").rstrip(".")
        return f"The agent could not finish: {reason}. ", _wording(OwnQuestion.AGENT_FAILED, reason=reason)
    if state.get("turn_status") == REFUSED:
        text = f"The agent's commits cannot be taken:\n\n{evidence}\n\n"
        return text, _wording(OwnQuestion.COMMITS_REFUSED, evidence=evidence)
    if not state.get("tested"):
        summary = str(state.get("summary") or "no summary").rstrip(".")
        text = f"The agent says that it is done but committed nothing: {summary}. "
        return text, _wording(OwnQuestion.NOTHING_COMMITTED, summary=summary)
    if state.get("same_failure"):
        text = f"The project's checks are still red, the same failure came twice:\n\n{evidence}\n\n"
        return text, _wording(OwnQuestion.SAME_FAILURE, evidence=evidence)
    rounds = counted(int(state.get("round") or 0), "round")
    text = f"The project's checks are still red, after {rounds}:\n\n{evidence}\n\n"
    return text, _wording(OwnQuestion.STILL_RED, evidence=evidence, rounds=str(state.get("round") or 0))


def _wording(name: OwnQuestion, **fields: str) -> QuestionWording:
    return QuestionWording(name=name.value, fields={key: value[:MAX_TEXT] for key, value in fields.items()})


def newest_within(answers: Sequence[Answer], limit: int) -> list[Answer]:
    """The last of `answers`, in order, as many as take at most `limit` bytes as JSON."""
    kept: list[Answer] = []
    for answer in reversed(answers):
        limit -= len(answer.model_dump_json().encode())
        if limit < 0:
            break
        kept.insert(0, answer)
    return kept


def barest(projection: Projection) -> Projection:
    """The same state of the same task without any text that came from outside."""
    question = projection.question
    if question is not None:
        text = (
            f"This question cannot be shown. Answer it, or stop the work. Secrets: {question.secret_names or 'none'}."
        )
        choices = [choice for choice in question.choices if choice in _OWN]
        unshown = {"text": text, "wording": None, "answer": None, "choices": choices}
        question = question.model_copy(update=unshown)
    failed = projection.state is TaskState.FAILED
    return projection.model_copy(
        update={
            "title": "",
            "milestone": projection.milestone and _bare_event(projection.milestone),
            "question": question,
            "waiting_for": projection.waiting_for and f"question {projection.question_id}",
            "result": {key: value for key, value in projection.result.items() if not isinstance(value, str)},
            "error": UNSHOWN if failed else None,
            "artifacts": [],
            "criteria": [],
            "parts": [],
        }
    )


def _bare_event(event: ProgressEvent) -> ProgressEvent:
    return event.model_copy(update={"message": UNSHOWN, "error": UNSHOWN if event.error else None})


def refusal(question: QuestionDTO | None, asked: set[str], command: AnswerCommand) -> tuple[ErrorCode, str] | None:
    """Why an answer cannot be taken, or None: right person, still open, same plan, a possible choice."""
    if question is None or question.id != command.question_id:
        if command.question_id in asked:
            return ErrorCode.QUESTION_CLOSED, "This question has been answered already; the first answer counts."
        return ErrorCode.NOT_FOUND, "There is no such question here; see `orchestrator question list`."
    if question.state is not QuestionState.OPEN:
        return ErrorCode.QUESTION_CLOSED, "This question is closed; the first answer counts."
    if question.kind is QuestionKind.BUDGET and not _may_spend(question, command):
        return ErrorCode.QUESTION_NOT_YOURS, f"Only an owner of the {question.subject}, or an admin, may answer this."
    if not _may_answer(question, command):
        return (
            ErrorCode.QUESTION_NOT_YOURS,
            f"Only an owner or an editor of the {question.subject}, or an admin, may answer this question.",
        )
    if command.actor.role is Role.AGENT:
        return ErrorCode.QUESTION_NOT_YOURS, "An agent may not answer a question for a person."
    return _unfit(question, command)


def _may_answer(question: QuestionDTO, command: AnswerCommand) -> bool:
    """Whether the actor was asked, may act on the subject, or is an admin, who may answer everything but chats'
    questions."""
    if command.actor.role is Role.ADMIN and question.subject.kind is not SubjectKind.CHAT:
        return True
    if command.member_role is None:
        return command.actor.user_id == question.user_id
    return command.member_role is not MemberRole.VIEWER


def _may_spend(question: QuestionDTO, command: AnswerCommand) -> bool:
    """Whether the actor may decide about money: an owner, and for what everybody shares, an admin."""
    if command.actor.role is Role.ADMIN:
        return True
    shared = question.wording is not None and question.wording.fields.get("scope") == EVERYBODY
    if shared and answers.raise_of(command.text) is not None:
        return False
    if command.member_role is None:
        return command.actor.user_id == question.user_id
    return command.member_role is MemberRole.OWNER


def _fits_limit(question: QuestionDTO, text: str) -> bool:
    """Whether a question about a limit takes this answer, which may name an amount, a model or an agent of its own."""
    if text.lower() in {choice.lower() for choice in question.choices}:
        return True
    if answers.raise_of(text) is not None:
        return any(answers.raise_of(choice) for choice in question.choices)
    agent = answers.agent_of(text)
    return answers.model_of(text) is not None or (agent is not None and agent is not AgentKind.SCRIPTED)


def _unfit(question: QuestionDTO, command: AnswerCommand) -> tuple[ErrorCode, str] | None:
    text = command.text.strip()
    if question.plan_hash and command.plan_hash and command.plan_hash != question.plan_hash:
        return ErrorCode.CONFLICT, "The plan has changed since you saw this question. Read it again before you answer."
    if question.kind is QuestionKind.SECRET:
        if command.secret_stored or is_stop(text):
            return None
        names = ", ".join(question.secret_names)
        return (
            ErrorCode.QUESTION_WRONG_CHOICE,
            f"A secret is never sent as text. Set it with `orchestrator secret set` ({names}), or say stop.",
        )
    if question.kind is QuestionKind.BUDGET and not _fits_limit(question, text):
        return ErrorCode.QUESTION_WRONG_CHOICE, f"Answer with one of: {', '.join(question.choices)}."
    if question.kind is QuestionKind.APPROVAL and text.lower() not in question.choices:
        return ErrorCode.QUESTION_WRONG_CHOICE, f"Answer with one of: {', '.join(question.choices)}."
    if not text or len(text) > 4_000:
        return ErrorCode.QUESTION_WRONG_CHOICE, "An answer needs between 1 and 4,000 characters."
    return None


def links_for_people(links: Mapping[str, str]) -> dict[str, str]:
    """What a task's result says of the services of a project that has several: each has its own link."""
    return {f"{LINK_OF}{service}": link for service, link in links.items()} if len(links) > 1 else {}


def screenshots_for_people(screenshots: Sequence[str]) -> dict[str, str]:
    """What a task's result says of the pictures of its pages: where each is in the artifact store."""
    return {f"{SCREENSHOT}{number}": uri for number, uri in enumerate(screenshots, start=1)}


def review_for_people(review: Review | None) -> dict[str, str]:
    """What a task's result says of the review of its commit; nothing where there was none."""
    return {REVIEW: review.told()} if review else {}


def figures_for_people(figures: SuiteFigures | None) -> dict[str, int]:
    """What a task's result says in figures of the tests of its commit; nothing where nothing is known."""
    return figures.in_result() if figures else {}


def green(figures: SuiteFigures | None) -> str:
    """That the checks are green, with what is known of the tests in figures."""
    told = figures.told() if figures else ""
    return f"green ({told})" if told else "green"
