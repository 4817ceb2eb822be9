"""Checks of a project as the API shows them."""

from collections.abc import Sequence

from api.tables import ProjectCheckRow
from contracts.acceptance import AcceptanceCheck
from contracts.criteria import Criterion
from contracts.planning import KeptCheck, KeptCheckDTO, KeptCheckList, ProjectChecks, ProposedChecks


def promised(rows: Sequence[ProjectCheckRow], proposed: ProposedChecks | None) -> ProjectChecks:
    """For the platform itself: whole checks."""
    return ProjectChecks(kept=[_kept(row) for row in rows], proposed=proposed)


def listed(rows: Sequence[ProjectCheckRow], following: str | None) -> KeptCheckList:
    return KeptCheckList(items=[check(row) for row in rows], next_cursor=following)


def check(row: ProjectCheckRow) -> KeptCheckDTO:
    """For people: what was promised, and how it is looked at."""
    one = _kept(row)
    return KeptCheckDTO(
        id=row.id,
        title=one.check.title,
        sentence=one.criterion.sentence,
        words=one.criterion.words,
        kinds=sorted(one.check.needs),
        task_id=row.task_id,
        kept_at=row.kept_at,
        dropped_by=row.dropped_by,
        dropped_at=row.dropped_at,
    )


def _kept(row: ProjectCheckRow) -> KeptCheck:
    return KeptCheck(
        check=AcceptanceCheck.model_validate(row.check_document),
        criterion=Criterion.model_validate(row.criterion),
        task_id=row.task_id,
        kept_at=row.kept_at,
    )
