"""One turn: read the wish, change the repository, commit once, say what happened."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from . import commands, migrations, misbehaviour, questions, resources, secret_status
from .questions import Language, Question
from .sentences import is_russian
from .sessions import Session
from .specification import wish_of
from .stream import Stream
from .wish import SECRET, Entity, Task, Wish, WishError, directives, has_section, read_task, section
from .workspace import Workspace

ANSWER = "Answer from the person"
EVIDENCE = "Evidence"
MAX_SLOW_S = 3_600.0
BEAT_S = 1.0


@dataclass(frozen=True)
class Outcome:
    """What the turn came to; `files` are the paths in its commit."""

    status: Literal["done", "question", "failed"]
    summary: str
    files: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        if self.status == "question":
            asked = {"question": self.summary, "choices": self.choices}
            return {"status": self.status, **asked, "summary": self.summary}
        if self.status == "failed":
            return {"status": self.status, "summary": self.summary}
        return {"status": self.status, "summary": self.summary, "files": self.files}


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
            wish = wish_of(self.task, self.session.answers)
        except WishError as error:
            return self._ask(questions.bad_name(self.language, error.name))
        paths = {name for one in wish.entities for name in (one.path, one.singular)}
        if "tg_bot" not in self.workspace.modules:
            # `/notes returns the list` speaks of the route.
            wish.commands = [one for one in wish.commands if one.name not in paths]
        refused = self._refusal(wish)
        if refused:
            return self._ask(refused)
        try:
            edits = self._edits(wish)
        except WishError as error:
            return self._ask(questions.bad_name(self.language, error.name))
        changed = self._apply(edits)
        if not changed and self.repairing:
            return self._ask(questions.cannot_repair(self.language))
        return self._commit(changed, self._message(wish))

    def _refusal(self, wish: Wish) -> Question | None:
        for module, wanted in (("backend", wish.entities), ("tg_bot", wish.commands)):
            if wanted and module not in self.workspace.modules:
                return questions.no_module(self.language, module)
        effects = {
            "needs-secret",
            "broken-tests",
            "always-broken",
            "curious-tests",
            *misbehaviour.INSERTIONS,
        } & self.told.keys()
        understood = wish.entities or wish.commands or effects or self.repairing
        return None if understood else questions.unclear(self.language)

    def _edits(self, wish: Wish) -> dict[str, str | None]:
        edits: dict[str, str | None] = {}
        entities = [self._grown(one) for one in wish.entities]
        for entity in entities:
            edits |= resources.files(entity, self.workspace.has_pages)
        edits |= migrations.files(self.workspace, entities)
        for command in wish.commands:
            edits |= commands.files(command)
        secrets = [name for name in self.told.get("needs-secret", []) if SECRET.fullmatch(name)]
        edits |= secret_status.contract(self.workspace, [*wish.secrets, *secrets])
        edits |= secret_status.route(self.workspace, secrets)
        slow = _seconds(self.told["slow-tests"][0]) if "slow-tests" in self.told else None
        return edits | misbehaviour.edits(self.workspace, self.told.keys(), self.repairing, slow)

    def _grown(self, entity: Entity) -> Entity:
        """Keep the fields of an existing entity as they are: rows of earlier releases use them."""
        model = self.workspace.committed(resources.model_path(entity))
        kept = {one.name: one for one in resources.existing_fields(model)} if model else {}
        changed = next((one for one in entity.fields if kept.get(one.name, one).type != one.type), None)
        if changed:
            raise WishError(f"{changed.name}: {changed.type}")
        added = [one for one in entity.fields if one.name not in kept]
        return Entity(entity.singular, entity.path, (*kept.values(), *added))

    def _apply(self, edits: Mapping[str, str | None]) -> list[str]:
        """Write what differs; returns every path that differs from HEAD, also one that a killed turn wrote."""
        for path, content in sorted(edits.items()):
            if self.workspace.read(path) == content:
                continue
            if content is None:
                self.workspace.remove(path)
                self.stream.use("Bash", {"command": f"rm {path}"}, "")
            else:
                self.workspace.write(path, content)
                self.stream.use("Write", {"file_path": path, "content": content}, f"wrote {path}")
        return self.workspace.uncommitted(sorted(edits))

    def _commit(self, changed: list[str], message: str) -> Outcome:
        commit = self.workspace.commit(changed, message) if changed else None
        if commit is None:
            text = "Everything that was asked for is already there; there is nothing to commit."
            return Outcome("done", text)
        self.stream.use("Bash", {"command": f"git commit -m {message.splitlines()[0]!r}"}, commit)
        return Outcome("done", f"{message.splitlines()[0]} ({len(changed)} files, commit {commit[:12]}).", changed)

    def _message(self, wish: Wish) -> str:
        names = [one.path for one in wish.entities] + [f"/{one.name}" for one in wish.commands]
        subject = f"Add {', '.join(names)}" if names else "Follow the task"
        if self.repairing:
            subject = "Repair what the checks found"
        return subject if len(subject) <= 72 else subject[:71] + "…"

    def _ask(self, question: Question) -> Outcome:
        self.session.asked.append(question.text)
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
