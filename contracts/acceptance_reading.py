"""Reads checks that a model wrote, and says what is wrong with each in a form that the model can repair.

One unusable check does not spoil the others.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import Field, ValidationError

from contracts.acceptance import MAX_CHECKS, MAX_CHECKS_BYTES, AcceptanceCheck, size_of
from contracts.base import Contract
from contracts.criteria import Criterion
from contracts.outside_text import cleaned

MAX_FAULTS = 40
_PER_CHECK = 5
_CODES: Final = {
    "missing": "MISSING_FIELD",
    "extra_forbidden": "UNKNOWN_FIELD",
    "union_tag_not_found": "MISSING_KIND",
    "union_tag_invalid": "UNKNOWN_KIND",
    "literal_error": "UNKNOWN_VALUE",
    "string_pattern_mismatch": "WRONG_FORM",
    "string_too_long": "TOO_LONG",
    "string_too_short": "EMPTY",
    "too_long": "TOO_MANY",
    "too_short": "EMPTY",
    "greater_than_equal": "OUT_OF_RANGE",
    "less_than_equal": "OUT_OF_RANGE",
    "nothing_expected": "NOTHING_EXPECTED",
    "several_bodies": "SEVERAL_BODIES",
    "one_action": "ONE_ACTION",
    "wrong_value": "WRONG_VALUE",
    "unknown_variable": "UNKNOWN_VARIABLE",
    "check_too_large": "TOO_LARGE",
    "not_json": "NOT_JSON",
}
"""Kinds of pydantic's and of our own; any other is WRONG_TYPE."""


class CheckFault(Contract):
    """What is wrong: in which check (by id or by its number), at which place of it, in words."""

    code: str = Field(pattern=r"^[A-Z_]{2,40}$")
    check: str = Field(default="", max_length=100)
    place: str = Field(default="", max_length=200)
    message: str = Field(max_length=500)

    def __str__(self) -> str:
        where = " ".join(part for part in (self.check, self.place) if part)
        return f"{self.code} {where}: {self.message}" if where else f"{self.code}: {self.message}"


class ChecksRead(Contract):
    """The usable checks, and what is wrong with the others."""

    checks: list[AcceptanceCheck] = Field(default_factory=list, max_length=MAX_CHECKS)
    faults: list[CheckFault] = Field(default_factory=list, max_length=MAX_FAULTS)

    @property
    def told(self) -> str:
        """The faults, a line each, for whoever repairs the checks."""
        return "\n".join(map(str, self.faults))


def read_checks(text: str, criteria: Sequence[Criterion], longest_id: int = 100) -> ChecksRead:
    """Checks from JSON: a list of them, or an object with the list as `checks`, also inside of a code fence.

    `longest_id`: characters of an id, for whoever puts something before it. Never raises: what cannot be used is told
    as faults, the first MAX_FAULTS of them.
    """
    if len(text.encode("utf-8", "replace")) > 2 * MAX_CHECKS_BYTES:
        return _unreadable("TOO_LARGE", f"write at most {MAX_CHECKS_BYTES} bytes of checks")
    try:
        found = json.loads(_without_fence(cleaned(text)))
    except (ValueError, RecursionError) as error:
        reason = (
            f"{error.msg} at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "it nests too deep"
        )
        return _unreadable("NOT_JSON", f"this is not JSON: {reason}")
    if isinstance(found, dict):
        found = found.get("checks")
    if not isinstance(found, list):
        return _unreadable("WRONG_TYPE", "write a list of checks, or an object with the list as `checks`")
    return _read(found, {criterion.id for criterion in criteria}, longest_id)


def _read(found: list[Any], criteria: set[str], longest_id: int) -> ChecksRead:
    checks: dict[str, AcceptanceCheck] = {}
    faults: list[CheckFault] = []
    size = 0
    for number, one in enumerate(found, start=1):
        name = _name(one, number)
        try:
            check = AcceptanceCheck.model_validate(one)
        except ValidationError as error:
            faults += _faults(name, error)
            continue
        grown = size + size_of([check])
        fault = _misplaced(check, checks, criteria, grown) or _unnamed(check, longest_id)
        if fault is None:
            checks[check.id], size = check, grown
        else:
            faults.append(CheckFault(code=fault[0], check=name, message=fault[1]))
    return ChecksRead(checks=list(checks.values()), faults=faults[:MAX_FAULTS])


def _misplaced(
    check: AcceptanceCheck, checks: dict[str, AcceptanceCheck], criteria: set[str], size: int
) -> tuple[str, str] | None:
    """What is wrong with a check among the others: a code and a sentence."""
    if check.criterion_id not in criteria:
        known = ", ".join(sorted(criteria)[:20])
        return "UNKNOWN_CRITERION", f"there is no criterion {check.criterion_id}; there are: {known}"
    if check.id in checks:
        return "DUPLICATE_ID", "an earlier check has the same id"
    if len(checks) >= MAX_CHECKS:
        return "TOO_MANY", f"at most {MAX_CHECKS} checks are run"
    if size > MAX_CHECKS_BYTES:
        return "TOO_LARGE", f"all checks together have more than {MAX_CHECKS_BYTES} bytes"
    return None


def _unnamed(check: AcceptanceCheck, longest_id: int) -> tuple[str, str] | None:
    length = len(check.id)
    return ("TOO_LONG", f"the id has {length} characters, at most {longest_id} fit") if length > longest_id else None


def _faults(name: str, error: ValidationError) -> Iterable[CheckFault]:
    """Without the values that were sent: they may be of any size."""
    for one in error.errors(include_input=False, include_url=False, include_context=False)[:_PER_CHECK]:
        yield CheckFault(
            code=_CODES.get(one["type"], "WRONG_TYPE"),
            check=name,
            place=".".join(map(str, one["loc"]))[:200],
            message=one["msg"][:500],
        )


def _name(one: object, number: int) -> str:
    own = one.get("id") if isinstance(one, dict) else None
    return own if isinstance(own, str) and 0 < len(own) <= 100 else f"#{number}"


def _without_fence(text: str) -> str:
    """What stands between the first line of back ticks and the next; the whole text if there is none."""
    _, fence, rest = text.partition("```")
    if not fence or text.lstrip()[:1] in {"[", "{"}:
        return text
    return rest.partition("\n")[2].partition("```")[0]


def _unreadable(code: str, message: str) -> ChecksRead:
    return ChecksRead(faults=[CheckFault(code=code, message=message)])
