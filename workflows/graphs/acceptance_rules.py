"""Pure decisions about what done means: whether a person sees the plan, and what becomes of a miss."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.base import MAX_TEXT
from contracts.costs import CostEstimate
from contracts.criteria import Criterion
from contracts.deviations import MAX_MISSED, TakenAsIs
from contracts.errors import bounded, bounded_list
from contracts.parts import PartOf
from contracts.planning import PROMISED
from contracts.questions import OwnQuestion, QuestionWording
from contracts.states import AcceptanceMode, CriterionState, PlanApproval
from contracts.wording import counted, dollars
from workflows import patches, rules

State = Mapping[str, Any]

_MOST_UNMET = 1_200
"""Bytes of what is missed in a question."""
_MOST_SHOWN = 3_000
"""Characters of a plan in a question: it must fit into a message of a chat."""


def is_planned(state: State) -> bool:
    return state.get("acceptance", AcceptanceMode.OFF) != AcceptanceMode.OFF or asks_for_approval(state)


def asks_for_approval(state: State) -> bool:
    return bool(state.get("plan_approval", PlanApproval.OFF) == PlanApproval.ASK)


def is_approved(state: State) -> bool:
    """Whether a person has approved exactly this plan, in an earlier attempt at the same task."""
    return bool(state.get("plan_hash")) and state.get("approved_plan") == state.get("plan_hash")


def is_checked(state: State) -> bool:
    return bool(state.get("acceptance", AcceptanceMode.OFF) != AcceptanceMode.OFF)


def after_acceptance(state: State) -> str:
    """publish, another round, or a person: after the last round, for the same miss twice, or because what a person took
    as it is misses something else now."""
    if state.get("accepted") or state.get("acceptance") != AcceptanceMode.BINDING:
        return "publish"
    if state.get("taken_as_is"):
        return "ask" if _misses_more(state) and patches.taken_is_what_was_seen() else "publish"
    same = bool(state.get("unmet_fingerprint")) and state.get("unmet_fingerprint") == state.get(
        "last_unmet_fingerprint"
    )
    if same or int(state.get("round", 0)) >= int(state.get("max_rounds", 3)):
        return "ask"
    return "develop"


def is_missed(state: State) -> bool:
    """Whether the last thing that was found out is that the running service misses the wish, and that this counts."""
    found = state.get("unmet") and not state.get("accepted") and state.get("publish_status") != "conflict"
    return bool(found) and state.get("acceptance") == AcceptanceMode.BINDING


def may_be_taken(state: State) -> bool:
    """Whether a person may take this commit as it is: its own checks are green, and only the wish is missed."""
    is_green = state.get("tested") and state.get("passed") and state.get("turn_status", "done") == "done"
    return bool(is_green) and is_missed(state)


def taken(state: State) -> dict[str, Any]:
    """What somebody knows who takes the work as it is. A promise that the question had no room for stays one."""
    told = set(_told_unmet(state))
    broken = zip(state.get("broken", []), state.get("broken_sentences", []), strict=False)
    knows = TakenAsIs(
        commit=str(state.get("commit") or ""),
        missed=_missed(state)[:MAX_MISSED],
        sentences=list(state.get("unmet", [])),
        gives_up=[name for name, sentence in broken if sentence in told],
    )
    return knows.model_dump(mode="json")


def _misses_more(state: State) -> bool:
    known = state.get("taken")
    return not known or not TakenAsIs.model_validate(known).covers(str(state.get("commit")), _missed(state))


def _missed(state: State) -> list[str]:
    """Criteria of the task by their ids; what was promised earlier by its check, whose id is the same in each run."""
    judged = [Criterion.model_validate(one) for one in state.get("judged", [])]
    own = [one.id for one in judged if one.state is CriterionState.NOT_MET and not one.id.startswith(PROMISED)]
    return [*own, *state.get("broken", [])]


def first_prompt(state: State) -> str:
    """The first message of a planned work: what is checked afterwards, by somebody else."""
    criteria, prompt = _criteria(state), rules.first_prompt(dict(state))
    if not criteria:
        return prompt
    lines = "\n".join(f"- {one.sentence}" for one in criteria)
    return bounded(f"{prompt}\n\n## What the running service is checked for\n{lines}", MAX_TEXT)


def unmet_prompt(evidence: str) -> str:
    """The message of a turn after a service that ran and missed the wish."""
    return bounded(
        "The project's own checks are green, but the running service of your commit does not do what was asked for. "
        "Repair the cause and extend the project's own checks by it, run `make check test` again and commit."
        f"\n\n## Evidence\n{evidence}",
        MAX_TEXT,
    )


def shown_plan(state: State) -> str:
    """The plan as a milestone: nobody need be asked in order to see it."""
    criteria, ignored = _criteria(state), _listed(state.get("ignored", []))
    text = f"Done means ({counted(len(criteria), 'criterion', 'criteria')}): "
    text += bounded("; ".join(one.sentence.rstrip(".") for one in criteria) or "nothing that can be checked", 1_500)
    taken_back = _listed(state.get("taken_back", []))
    text += f". Words that nothing stands for: {ignored}" if ignored else ""
    text += f". No longer promised: {taken_back}." if taken_back else "."
    return " ".join(filter(None, [text, price_told(state.get("expected"))]))


def approval(state: State) -> dict[str, Any]:
    """The question about a plan, bound to its hash."""
    criteria = "\n".join(f"{number}. {one.sentence}" for number, one in enumerate(_criteria(state), start=1))
    ignored, taken_back = _listed(state.get("ignored", [])), _listed(state.get("taken_back", []))
    part, price = _part(state), price_told(state.get("expected"))
    text = f"{part}\n\n" if part else ""
    text += f"The work will be judged by this:\n\n{bounded(criteria, _MOST_SHOWN)}\n\n"
    text += f"Words that nothing stands for: {ignored}.\n\n" if ignored else ""
    text += f"No longer promised: {taken_back}.\n\n" if taken_back else ""
    text += f"{price}\n\n" if price else ""
    judged = "\n\n".join(filter(None, [part, bounded(criteria, _MOST_SHOWN), price]))
    fields = {"criteria": judged, "ignored": ignored or "—", "taken_back": taken_back or "—"}
    return {
        "question": f"{text}Begin?",
        "choices": [rules.APPROVE, rules.STOP],
        "wording": QuestionWording(name=OwnQuestion.APPROVE_PLAN.value, fields=fields).model_dump(mode="json"),
        "plan_hash": _approved(state),
    }


def is_declined(state: State) -> bool:
    """Whether a person has said no to the plan, and not to work that was there already."""
    return asks_for_approval(state) and not state.get("turn") and rules.is_stop(str(state.get("answer", "")))


def price_told(expected: Mapping[str, Any] | None) -> str:
    """What the work will probably cost and how sure that is; empty where no earlier task says anything."""
    found = CostEstimate.model_validate(expected) if expected else None
    if found is None or found.expected_usd is None:
        return ""
    told = f"It will probably cost about {dollars(found.expected_usd)}"
    if found.low_usd is not None and found.high_usd is not None and found.earlier_tasks > 1:
        told += f", {dollars(found.low_usd)} to {dollars(found.high_usd)}"
    return f"{told}, by {counted(found.earlier_tasks, 'earlier task')}."


def _part(state: State) -> str:
    """The place of a part in its whole; empty for a wish in one piece."""
    part = PartOf.model_validate(state["part"]) if state.get("part") else None
    if part is None:
        return ""
    return f"Part {part.number} of {part.total} of a larger work:\n{bounded(chr(10).join(part.plan), 1_200)}"


def _approved(state: State) -> str | None:
    """What the answer is bound to: the plan, and of a part the plan of all parts, too."""
    plan_hash, part = state.get("plan_hash"), _part(state)
    return hashlib.sha256(f"{plan_hash}\n{part}".encode()).hexdigest() if plan_hash and part else plan_hash


def question(state: State) -> tuple[str, list[str], QuestionWording | None]:
    """The question that the state calls for: a miss of the wish, or what comes before one."""
    return _unmet(state) if is_missed(state) else rules.engineering_question(dict(state))


def _told_unmet(state: State) -> list[str]:
    """What a question has room for, whole sentences; what was promised earlier first."""
    return bounded_list(state.get("unmet", []), size=_MOST_UNMET)


def _unmet(state: State) -> tuple[str, list[str], QuestionWording]:
    told = _told_unmet(state)
    more = len(state.get("unmet", [])) - len(told)
    unmet = "\n".join([*(f"- {one}" for one in told), *([f"- and {more} more"] if more else [])])
    evidence = bounded(str(state.get("evidence", "")), 1_500)
    rounds = int(state.get("round") or 0)
    text = (
        f"The tests are green, but the running service does not do what was asked for, after "
        f"{counted(rounds, 'round')}:\n\n{unmet}\n\n{evidence}\n\n"
        f"Try again (you may add advice), take it as it is ({rules.AS_IS}), or stop? "
        "Whoever takes it as it is gives up what is said above to be promised earlier."
    )
    fields = {"unmet": unmet, "evidence": evidence, "rounds": str(rounds)}
    choices = [rules.RETRY, rules.AS_IS, rules.STOP]
    return text, choices, QuestionWording(name=OwnQuestion.UNMET.value, fields=fields)


def _criteria(state: State) -> list[Criterion]:
    return [Criterion.model_validate(one) for one in (state.get("spec") or {}).get("acceptance", [])]


def _listed(words: Sequence[str]) -> str:
    return bounded("; ".join(f"“{' '.join(one.split())}”" for one in words), 600)
