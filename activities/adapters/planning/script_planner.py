"""The plan of a wish without a model: what the script understands of it, clause by clause."""

from dataclasses import dataclass

from activities.adapters.agents.scripted.reading import wish as reading
from activities.adapters.planning import check_names
from activities.adapters.planning.script_parts import parts_of
from activities.adapters.planning.understanding import understood
from activities.ports import Follow
from contracts.criteria import MAX_CRITERIA, Criterion
from contracts.parts import WorkPart
from contracts.planning import Judge, PartsRequest, Plan, PlanRequest
from contracts.wish_words import cut_at_a_word

_MOST_SENTENCE, _MOST_WORDS = 200, 500


@dataclass(frozen=True)
class ScriptPlanner:
    """A pure function of the request: a repeated call is the same plan."""

    async def plan(self, request: PlanRequest, follow: Follow) -> Plan:
        """Clauses that the script does not understand stand in their own words: others may build and check them."""
        wish = understood(request.spec)
        given = request.spec.acceptance
        taken = {one.id for one in given}
        said = [_criterion(number, one) for number, one in enumerate(_clauses(wish), start=1)]
        criteria = [*given, *(one for one in said if one.id not in taken)][:MAX_CRITERIA]
        promised = [one.check_id for one in request.promises]
        retires = [name for change in wish.changes for name in check_names.taken_back(change, promised)]
        return Plan(spec=request.spec.model_copy(update={"acceptance": criteria}), retires=list(dict.fromkeys(retires)))

    async def divide(self, request: PartsRequest, follow: Follow) -> list[WorkPart]:
        """See `Planner`."""
        return parts_of(request.spec)

    async def stop(self, judge: Judge) -> None:
        """It never runs for long."""


def _clauses(wish: reading.Wish) -> list[reading.Criterion]:
    return [*wish.criteria, *(_changed(one) for one in wish.changes)]


def _changed(change: reading.Change) -> reading.Criterion:
    """As the words say it: what becomes of it depends on what is there."""
    names = ", ".join(one.name for one in change.fields)
    sentences = {
        "add-fields": f"Each {change.name} also has {names}.",
        "remove-fields": f"No {change.name} has {names} any more.",
        "remove-entity": f"There is no {change.name} any more.",
        "remove-command": f"The bot has no command /{change.name} any more.",
    }
    return reading.Criterion(sentences[change.kind], change.words, about=change.name)


def _criterion(number: int, one: reading.Criterion) -> Criterion:
    sentence = " ".join((one.sentence if one.built else one.words).split())
    return Criterion(
        id=f"p{number}",
        sentence=cut_at_a_word(sentence, _MOST_SENTENCE),
        words=cut_at_a_word(one.words, _MOST_WORDS),
    )
