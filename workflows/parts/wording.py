"""What a part of a wish builds, and what the results of all say together: pure."""

from collections.abc import Sequence

from contracts import ids
from contracts.base import MAX_TEXT
from contracts.criteria import Criterion, fitting
from contracts.departments import EngineeringResult
from contracts.errors import bounded
from contracts.modules_of_wish import modules_of
from contracts.parts import WorkPart
from contracts.project_spec import ProjectSpec
from contracts.states import Module

_MOST_FILES, _MOST_SCREENSHOTS = 500, 20


def spec_of(whole: ProjectSpec, parts: Sequence[WorkPart], part: WorkPart) -> ProjectSpec:
    """What a part builds. It has the modules of the parts up to it; those that later parts call for come with them."""
    later = {module for one in parts if one.number > part.number for module in modules_of(one.words)}
    so_far = {module for one in parts if one.number <= part.number for module in modules_of(one.words)}
    modules = [one for one in whole.modules if one in so_far or one not in later]
    if Module.WEB in modules and Module.BACKEND not in modules:
        modules.append(Module.BACKEND)
    return whole.model_copy(update={"description": part.words, "modules": modules or whole.modules})


def together(request_id: str, results: Sequence[tuple[int, EngineeringResult]]) -> EngineeringResult:
    """One result of all parts, of the commit that was published last."""
    last = results[-1][1]
    files = dict.fromkeys(file for _, one in results for file in one.files_changed)
    shots = [uri for _, one in results for uri in one.screenshots]
    summary = "\n\n".join(f"{number}. {one.summary}" for number, one in sorted(results, key=_number) if one.summary)
    return last.model_copy(
        update={
            "request_id": request_id,
            "files_changed": list(files)[:_MOST_FILES],
            "summary": bounded(summary, MAX_TEXT) if summary else None,
            "criteria": criteria(results),
            "screenshots": shots[:_MOST_SCREENSHOTS],
        }
    )


def criteria(results: Sequence[tuple[int, EngineeringResult]]) -> list[Criterion]:
    """Those of all parts, each with an id of its own: parts name theirs alike."""
    found = [
        criterion.model_copy(update={"id": ids.fitting(f"{number}-{criterion.id}")})
        for number, one in sorted(results, key=_number)
        for criterion in one.criteria
    ]
    return fitting(found)


def _number(result: tuple[int, EngineeringResult]) -> int:
    return result[0]
