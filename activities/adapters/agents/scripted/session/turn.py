"""One turn: read the wish, change the repository, commit once, say what happened."""

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..reading.field_lists import is_russian
from ..reading.replies import AnswerDoubt
from ..reading.specification import wish_of
from ..reading.wish import (
    SECRET,
    Criterion,
    Task,
    Wish,
    WishError,
    directives,
    has_section,
    read_task,
    section,
    without_directives,
)
from ..writing import commands, memory, migrations, misbehaviour, resources, secret_status, subjects
from ..writing.plan import Plan, plan_of
from ..writing.workspace import Workspace
from . import questions
from .questions import Language, Question
from .sessions import Session
from .stream import Stream

ANSWER = "Answer from the person"
EVIDENCE = "Evidence"
MAX_SLOW_S = 3_600.0
BEAT_S = 1.0
MOST_CRITERIA, MOST_SENTENCE, MOST_WORDS = 50, 200, 500
"""What a result takes, as the platform's contracts say."""


@dataclass(frozen=True)
class Outcome:
    """What the turn came to; `files` are the paths in its commit, `criteria` stand for each clause of the wish."""

    status: Literal["done", "question", "failed"]
    summary: str
    files: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    criteria: list[Criterion] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        if self.status == "question":
            asked = {"question": self.summary, "choices": self.choices}
            return {"status": self.status, **asked, "summary": self.summary}
        if self.status == "failed":
            return {"status": self.status, "summary": self.summary}
        criteria = [_criterion(number, one) for number, one in enumerate(_fitting(self.criteria), start=1)]
        return {"status": self.status, "summary": self.summary, "files": self.files, "criteria": criteria}


def _fitting(criteria: list[Criterion]) -> list[Criterion]:
    """As many and as long as a result takes: long words go on in a further criterion, clauses of one kind share one."""
    parts = [replace(one, words=part) for one in criteria for part in _pieces(one.words)]
    if len(parts) <= MOST_CRITERIA:
        return parts
    for built in (False, True):
        parts = _shared(parts, built)
    return parts[:MOST_CRITERIA]


def _pieces(words: str) -> list[str]:
    return textwrap.wrap(words, MOST_WORDS, break_on_hyphens=False) or [""]


def _shared(parts: list[Criterion], built: bool) -> list[Criterion]:
    """The parts that are (not) built in as few criteria as hold their words, behind the others."""
    shared = [one for one in parts if one.built is built]
    if len(parts) <= MOST_CRITERIA or len(shared) < 2:
        return parts
    packed = [shared[0].words]
    for one in shared[1:]:
        joined = f"{packed[-1]}; {one.words}"
        packed[-1:] = [joined] if len(joined) <= MOST_WORDS else [packed[-1], one.words]
    others = [one for one in parts if one.built is not built]
    return [*others, *(Criterion("More clauses than are shown one by one.", words, built) for words in packed)]


def _criterion(number: int, one: Criterion) -> dict[str, str]:
    """The form of the platform's criteria. That something was built is for others to check."""
    state = "open" if one.built else "not_met"
    return {
        "id": f"w{number}",
        "sentence": one.sentence[:MOST_SENTENCE],
        "words": one.words[:MOST_WORDS],
        "state": state,
    }


class Turn:
    def __init__(self, prompt: str, workspace: Workspace, session: Session, stream: Stream) -> None:
        self.workspace = workspace
        self.session = session
        self.stream = stream
        self.answer = section(prompt, ANSWER)
        self.repairing = has_section(prompt, EVIDENCE)
        text = workspace.read("TASK.md")
        self.task: Task = read_task(text if text is not None else prompt)
        self.told = directives("\n".join([self.task.sentences, self.task.prose, self.answer]))
        spoken = "\n".join([self.task.sentences, self.answer])
        self.language: Language = "ru" if is_russian(spoken) else "en"

    def run(self) -> Outcome:
        """Raises WorkspaceError when the repository is not what it should be."""
        if self.answer and self.answer not in self.session.answers:
            self.session.answers.append(self.answer)
            self.session.completes[self.answer] = self.session.unclear
        self.stream.say("I am a script, not a model. Reading TASK.md.")
        self._take_time()
        if "fail" in self.told:
            return Outcome("failed", "I was told to fail.")
        if "ask" in self.told and not self.session.asked and not self.answer:
            return self._ask(questions.told_to_ask(self.language))
        if "no-commit" in self.told:
            return Outcome("done", "Everything is done (I was told to claim so).")
        return self._build()

    def _build(self) -> Outcome:
        try:
            wish = wish_of(self.task, self.session.answers, self.session.completes)
            plan = plan_of(wish, self.workspace)
        except AnswerDoubt as doubt:
            return self._ask(questions.where_it_ends(self.language, doubt))
        except WishError as error:
            return self._ask(questions.bad_name(self.language, error.name, self.workspace.modules))
        refused = self._refusal(wish, plan)
        if refused:
            return self._ask(refused)
        changed = self._apply(self._edits(plan))
        if not changed and self.repairing:
            return self._ask(questions.cannot_repair(self.language, self.workspace.modules))
        message = self._message(plan)
        if changed and not self.repairing:
            changed = sorted({*changed, *self._apply(memory.remembering(self.workspace, message))})
        return self._commit(changed, message, plan)

    def _refusal(self, wish: Wish, plan: Plan) -> Question | None:
        """The question that is asked when nothing at all can be built."""
        effects = {
            "needs-secret",
            "broken-tests",
            "always-broken",
            "curious-tests",
            *misbehaviour.INSERTIONS,
        } & self.told.keys()
        if not plan.empty or effects or self.repairing:
            return None
        modules = self.workspace.modules
        for module, wanted in (("backend", wish.entities), ("tg_bot", wish.commands)):
            if wanted and module not in modules:
                words = next(one.words for one in plan.not_built)
                return questions.no_module(self.language, module, words, modules)
        if wish.changes:
            return questions.cannot_change(self.language, plan.not_built[-1].sentence, modules)
        words = next((one.words for one in plan.not_built), "")
        return questions.unclear(self.language, words or " ".join(self._said.split())[:200], modules)

    @property
    def _said(self) -> str:
        return without_directives(self.task.sentences)

    def _edits(self, plan: Plan) -> dict[str, str | None]:
        edits: dict[str, str | None] = dict.fromkeys(plan.removed)
        for entity in plan.entities:
            edits |= resources.files(entity, self.workspace.has_pages)
        edits |= migrations.files(self.workspace, plan.entities)
        edits |= commands.files(self.workspace, plan.commands)
        edits |= secret_status.contract(self.workspace, [*plan.secrets, *self._secrets])
        edits |= secret_status.route(self.workspace, self._secrets)
        slow = _seconds(self.told["slow-tests"][0]) if "slow-tests" in self.told else None
        return edits | misbehaviour.edits(self.workspace, self.told.keys(), self.repairing, slow)

    def _apply(self, edits: Mapping[str, str | None]) -> list[str]:
        """Write what differs; returns every path that differs from HEAD, also what a killed turn wrote or removed."""
        for path, content in sorted(edits.items()):
            if self.workspace.read(path) == content:
                continue
            if content is None:
                self.workspace.remove(path)
                self.stream.use("Bash", {"command": f"rm {path}"}, "")
            else:
                self.workspace.write(path, content)
                self.stream.use("Write", {"file_path": path, "content": content}, f"wrote {path}")
        return self.workspace.uncommitted(sorted({*edits, *self.workspace.changed()}))

    def _commit(self, changed: list[str], message: str, plan: Plan) -> Outcome:
        commit = self.workspace.commit(changed, message) if changed else None
        if commit is None:
            text = "Everything that was asked for is already there; there is nothing to commit."
            return Outcome("done", text + self._left_out(plan), criteria=plan.criteria)
        self.stream.use("Bash", {"command": f"git commit -m {message.splitlines()[0]!r}"}, commit)
        files = "1 file" if len(changed) == 1 else f"{len(changed)} files"
        text = f"{message.splitlines()[0]} ({files}, commit {commit[:12]})."
        return Outcome("done", text + self._left_out(plan), changed, criteria=plan.criteria)

    def _left_out(self, plan: Plan) -> str:
        words = "; ".join(f"“{one.words}”" for one in plan.not_built)
        return f" {questions.SELF[self.language]} {questions.NOT_BUILT[self.language]}: {words}." if words else ""

    def _message(self, plan: Plan) -> str:
        if self.repairing:
            return "Repair what the checks found"
        return subjects.subject(self.workspace, plan, self._secrets)

    @property
    def _secrets(self) -> list[str]:
        return [name for name in self.told.get("needs-secret", []) if SECRET.fullmatch(name)]

    def _ask(self, question: Question) -> Outcome:
        self.session.asked.append(question.text)
        self.session.unclear = question.unclear
        return Outcome("question", question.text, choices=question.choices)

    def _take_time(self) -> None:
        if "hang" in self.told:
            # A child that outlives a careless cleanup, as the tools of a real agent do.
            subprocess.Popen(["sleep", "86400"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            self._beat(lambda: True)
        if "slow" in self.told:
            end = time.monotonic() + _seconds(self.told["slow"][0])
            self._beat(lambda: time.monotonic() < end)

    def _beat(self, more: Callable[[], bool]) -> None:
        while more():
            self.stream.say("Still working.")
            time.sleep(BEAT_S)


def _seconds(text: str) -> float:
    try:
        return min(max(float(text), 0.0), MAX_SLOW_S)
    except ValueError:
        sys.stderr.write(f"not a number of seconds: {text!r}\n")
        return 0.0
