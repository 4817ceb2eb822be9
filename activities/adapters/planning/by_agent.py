"""Plans and checks of an agent with a model. What it does not do, the script does.

Everything that it writes is hostile until it is read: bounded, cleaned, and without a say about the verdict.
"""

import hashlib
import json
from dataclasses import dataclass

from activities.adapters.planning.judging_turns import ANSWER, MAX_TURNS, JudgingTurns, listed
from activities.adapters.planning.read_parts import read_parts
from activities.adapters.planning.script_checks import ScriptCheckWriter
from activities.adapters.planning.script_parts import is_sentence
from activities.adapters.planning.script_planner import ScriptPlanner
from activities.ports import CheckWriter, Follow, Planner
from contracts.acceptance import AcceptanceCheck
from contracts.acceptance_reading import read_checks
from contracts.criteria import MAX_CRITERIA, Criterion
from contracts.errors import bounded
from contracts.outside_text import cleaned
from contracts.parts import LARGE, WorkPart
from contracts.planning import CheckWriting, Judge, PartsRequest, Plan, PlanRequest, WrittenChecks
from contracts.project_spec import ProjectSpec
from contracts.states import AgentKind
from contracts.wish_words import cut_at_a_word

_MOST_FILE = 100_000
_MARK = 8
"""Characters before the id of a check that say whose it is."""
_NO_CHECK = "No check was written for this."

_PLAN = (
    "You plan software and build nothing. WISH.md has what a person wants, PROMISES.json what the project has promised "
    "before. Say what done means: criteria that somebody can check at the running service without reading its code. "
    "Each quotes in `words` the words of the wish that it stands for, exactly as they stand there; together they "
    "leave out no word that asks for something, denials among them. `retires` names the promises that the wish itself "
    'takes back. The document is {"criteria": [{"sentence": "…", "words": "…"}], "retires": ["check_id"]}.'
)
_PARTS = (
    "You plan software and build nothing. WISH.md has what a person wants. If it is too large for one piece of work, "
    "divide it into a few parts that are built, tested and published one after the other, each of use by itself. Each "
    "quotes in `words` what it stands for, as a list of excerpts exactly as they stand in the wish; together they "
    "leave out no word. `after` has the numbers of the earlier parts without which a part cannot be built; parts that "
    "do not need each other have none. A wish that is one piece of work is one part. "
    'The document is {"parts": [{"title": "…", "words": ["…"], "after": [1]}]}.'
)
_CHECKS = (
    "You check software that somebody else has built and do not see its code. SPEC.json has the wish and its criteria, "
    "openapi.json what the running service says of itself, SCHEMA.json the JSON schema of a check. Write checks that "
    "show each criterion, also what is not to happen; a check makes the data that it needs. Where nothing can show a "
    'criterion, say why. The document is {"checks": [{"id": "…", "criterion_id": "…", "title": "…", "steps": […]}], '
    '"not_checkable": {"criterion_id": "reason"}}.'
)


@dataclass(frozen=True)
class AgentPlanner:
    turns: JudgingTurns
    script: ScriptPlanner

    async def plan(self, request: PlanRequest, follow: Follow) -> Plan:
        """See `Planner`."""
        by_script = await self.script.plan(request, follow)
        if request.judge.agent is AgentKind.SCRIPTED:
            return by_script
        promises = [one.model_dump(mode="json") for one in request.promises]
        files = {"WISH.md": request.spec.description, "PROMISES.json": _json(promises)}
        document = await self.turns.document(request.judge, "planner", 1, f"{_PLAN}\n\n{ANSWER}", files, follow)
        await self.turns.close(request.judge, "planner")
        criteria = _criteria(document, request.spec)
        if not criteria:
            return by_script
        retires = {str(one) for one in listed(document, "retires")} | set(by_script.retires)
        known = [one.check_id for one in request.promises if one.check_id in retires]
        return Plan(spec=request.spec.model_copy(update={"acceptance": criteria}), retires=known)

    async def divide(self, request: PartsRequest, follow: Follow) -> list[WorkPart]:
        """See `Planner`. A short wish without an order of its own is not worth a turn."""
        by_script = await self.script.divide(request, follow)
        wish = request.spec.description
        is_large = bool(by_script) or (is_sentence(request.spec) and len(wish) >= LARGE)
        if request.judge.agent is AgentKind.SCRIPTED or not is_large:
            return by_script
        prompt = f"{_PARTS}\n\n{ANSWER}"
        document = await self.turns.document(request.judge, "planner", 1, prompt, {"WISH.md": wish}, follow)
        await self.turns.close(request.judge, "planner")
        parts = read_parts(listed(document, "parts"), wish)
        return by_script if parts is None else parts

    async def stop(self, judge: Judge) -> None:
        """See `Planner`."""
        if judge.agent is not AgentKind.SCRIPTED:
            await self.turns.stop(judge, "planner", 1)


@dataclass(frozen=True)
class AgentCheckWriter:
    turns: JudgingTurns
    script: ScriptCheckWriter

    async def write(self, request: CheckWriting, follow: Follow) -> WrittenChecks:
        """See `CheckWriter`. Its checks are named after the task: no later wish replaces them by chance."""
        if request.judge.agent is AgentKind.SCRIPTED:
            return await self.script.write(request, follow)
        if request.api_description is None:
            return WrittenChecks(needs_description=True)
        checks, reasons = await self._written(request, follow)
        await self.turns.close(request.judge, "check-writer")
        if not checks:
            return await self.script.write(request, follow)
        shown = {one.criterion_id for one in checks}
        missing = {one.id for one in request.spec.acceptance} - shown
        return WrittenChecks(
            checks=[_renamed(one, request.judge.task_id) for one in checks],
            not_checkable={name: bounded(cleaned(reasons.get(name, _NO_CHECK)), 500) for name in sorted(missing)},
        )

    async def stop(self, judge: Judge) -> None:
        """See `CheckWriter`."""
        if judge.agent is not AgentKind.SCRIPTED:
            await self.turns.stop(judge, "check-writer", MAX_TURNS)

    async def _written(self, request: CheckWriting, follow: Follow) -> tuple[list[AcceptanceCheck], dict[str, str]]:
        """After a turn with unreadable checks there is one to repair them; the better of both counts."""
        files, prompt = _files(request), f"{_CHECKS}\n\n{ANSWER}"
        best: tuple[list[AcceptanceCheck], dict[str, str]] = ([], {})
        for turn in range(1, MAX_TURNS + 1):
            document = await self.turns.document(request.judge, "check-writer", turn, prompt, files, follow)
            read = read_checks(document or "[]", request.spec.acceptance, 100 - _MARK - 1)
            if len(read.checks) >= len(best[0]):
                best = read.checks, _reasons(document)
            if not read.faults:
                break
            told = f"Not all of your checks could be read. Write all of them again.\n\n{read.told}"
            prompt = bounded(f"{_CHECKS}\n\n{ANSWER}\n\n{told}", 20_000)
        return best


def by_agent(turns: JudgingTurns) -> tuple[Planner, CheckWriter]:
    """Both, with the script where there is no model."""
    return AgentPlanner(turns, ScriptPlanner()), AgentCheckWriter(turns, ScriptCheckWriter())


def _criteria(document: str, spec: ProjectSpec) -> list[Criterion]:
    """Those of the spec first; what has no sentence is none."""
    found = list(spec.acceptance)
    for number, one in enumerate(listed(document, "criteria")[:MAX_CRITERIA], start=1):
        sentence = " ".join(cleaned(str(one.get("sentence") or "")).split()) if isinstance(one, dict) else ""
        if isinstance(one, dict) and sentence:
            words = cut_at_a_word(cleaned(str(one.get("words") or "")), 500)
            found.append(Criterion(id=f"p{number}", sentence=cut_at_a_word(sentence, 200), words=words))
    return found[:MAX_CRITERIA] if len(found) > len(spec.acceptance) else []


def _files(request: CheckWriting) -> dict[str, str]:
    description = request.api_description or ""
    files = {
        "SPEC.json": request.spec.model_dump_json(),
        "SCHEMA.json": _json(AcceptanceCheck.model_json_schema()),
        "openapi.json": description if len(description) <= _MOST_FILE else "",
    }
    return {name: content for name, content in files.items() if content}


def _reasons(document: str) -> dict[str, str]:
    try:
        found = json.loads(document or "{}")
    except (ValueError, RecursionError):
        return {}
    given = found.get("not_checkable") if isinstance(found, dict) else None
    return {str(name): str(why) for name, why in given.items()} if isinstance(given, dict) else {}


def _renamed(check: AcceptanceCheck, task_id: str) -> AcceptanceCheck:
    mark = hashlib.sha256(task_id.encode()).hexdigest()[:_MARK]
    return check.model_copy(update={"id": f"{mark}-{check.id}"})


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
