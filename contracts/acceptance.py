"""Checks of a wish, and what they have shown: how acceptance is asked for and what it answers.

A check is declarative: what somebody does with the running service, and what must be seen. It holds no code, so it can
be written by a model, read by a person, kept with the project and run again. `contracts.acceptance_reading` reads what
a model wrote and says what is wrong with it.

Texts that are sent or expected may hold `{name}`: a value that an earlier step of the same check has saved, `{unique}`
(hex digits, new for each run) or `{secret:NAME}` (a generated setting of the service). In JSON a string that is only
`{name}` becomes the saved value itself, a number for example.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from contracts.artifacts import ArtifactRef
from contracts.base import CommitSha, Contract, Identifier, ShortText
from contracts.criteria import MAX_CRITERIA, Criteria, Criterion
from contracts.departments import RepositoryFullName
from contracts.states import CriterionState
from contracts.steps import Step

MAX_CHECKS = 100
MAX_STEPS = 30
MAX_CHECK_BYTES = 16_000
MAX_CHECKS_BYTES = 128_000
"""Of all checks of a request, as JSON: a message holds 256 KB."""
MAX_WITHIN_S = 30.0
MAX_SCREENSHOTS = 20
UNIQUE = "unique"


def _plain(value: object) -> object:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise PydanticCustomError("not_json", "this is no JSON value, or one inside too many others") from None
    return value


JsonPlain = Annotated[Any, AfterValidator(_plain)]
"""Any JSON value; as what is expected or sent, null means that there is none."""
VariableName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
SentText = Annotated[str, StringConstraints(max_length=4_000)]
ExpectedText = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Path = Annotated[str, StringConstraints(pattern=r"^/[^\s#\x00-\x1f]*$", max_length=500)]
"""Of a URL, with its query. Characters that a URL cannot hold are encoded when it is requested."""
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,60}$")]
HeaderText = Annotated[str, StringConstraints(pattern=r"^[^\r\n\x00]*$", max_length=500)]
JsonPath = Annotated[
    str,
    StringConstraints(
        pattern=r"^([^\s.\[\]]+|\[(-?\d{1,4}|\*)\])?(\.[^\s.\[\]]+|\[(-?\d{1,4}|\*)\])*$", max_length=200
    ),
]
"""`items[0].title`: names of members and places in lists. `[-1]` is the last, `[*]` all of them; empty: everything."""
ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
ScreenshotName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
WithinSeconds = Annotated[float, Field(ge=0, le=MAX_WITHIN_S)]
StatusClass = Literal["2xx", "3xx", "4xx", "5xx"]

_NAMED_JSON = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)
"""A field is `json` in every written form; in Python that is a method of pydantic's."""
_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_TEXTS = Annotated[list[ExpectedText], Field(max_length=20)]


class JsonExpectation(Contract):
    """What is at `path` of a JSON answer: one or more of the others.

    `equals` is a value other than null. `contains` and `lacks`: a part of a text, a member of a list (an object that
    has at least these members), or the name of a member of an object. `length` counts characters, items or members.
    `absent`: nothing is at `path`.
    """

    path: JsonPath = ""
    equals: JsonPlain = None
    is_null: bool = False
    contains: JsonPlain = None
    lacks: JsonPlain = None
    absent: bool = False
    type: Literal["string", "integer", "number", "boolean", "array", "object"] | None = None
    length: int | None = Field(default=None, ge=0, le=10_000)
    min_length: int | None = Field(default=None, ge=0, le=10_000)

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        values = (self.equals, self.contains, self.lacks, self.type, self.length, self.min_length)
        if all(value is None for value in values) and not (self.is_null or self.absent):
            raise PydanticCustomError(
                "nothing_expected",
                "say what must be at this path: equals, is_null, contains, lacks, absent, type or length",
            )
        return self


class HttpExpectation(Contract):
    """`status`: a number, or a class such as "2xx". `headers`: what each must contain. `contains`, `lacks`: texts of
    the whole answer, as it came."""

    model_config = _NAMED_JSON

    status: Annotated[int, Field(ge=100, le=599)] | StatusClass | None = None
    headers: dict[HeaderName, HeaderText] = Field(default_factory=dict, max_length=20)
    json_values: list[JsonExpectation] = Field(default_factory=list, max_length=30, alias="json")
    contains: _TEXTS = Field(default_factory=list)
    lacks: _TEXTS = Field(default_factory=list)


class HttpStep(Contract):
    """One request, and what must be answered. Redirects are not followed. At most one of `json`, `form`, `text`.

    `save`: variable to the path of its value in the JSON answer. `within_s`: the request is repeated that many seconds
    until the answer is as expected; 0 asks once. `service`: which one of the project; the first by default.
    """

    model_config = _NAMED_JSON

    kind: Literal["http"] = "http"
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] = "GET"
    path: Path
    headers: dict[HeaderName, HeaderText] = Field(default_factory=dict, max_length=20)
    json_body: JsonPlain = Field(default=None, alias="json")
    form: dict[Annotated[str, StringConstraints(min_length=1, max_length=200)], SentText] | None = None
    text: SentText | None = None
    expect: HttpExpectation = Field(default_factory=HttpExpectation)
    save: dict[VariableName, JsonPath] = Field(default_factory=dict, max_length=10)
    within_s: WithinSeconds = 0
    service: ServiceName | None = None

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if sum(one is not None for one in (self.json_body, self.form, self.text)) > 1:
            raise PydanticCustomError("several_bodies", "a request has one body: json, form or text")
        return self


class PageAction(Contract):
    """What a visitor does. fill: type `value` into the field `target`. choose: take the option `value` of it. tick,
    untick: a check box. click: a link or button. press_enter: in the field `target`. `target` is what a person reads:
    the label of a field, the text of a link or button. `role` narrows it where two have the same text."""

    do: Literal["fill", "choose", "tick", "untick", "click", "press_enter"]
    target: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    value: Annotated[str, StringConstraints(max_length=2_000)] | None = None
    role: Literal["link", "button", "field"] | None = None

    @model_validator(mode="after")
    def _says_what_is_typed(self) -> Self:
        if (self.do in {"fill", "choose"}) != (self.value is not None):
            raise PydanticCustomError("wrong_value", "fill and choose need a value; other actions have none")
        return self


class PageExpectation(Contract):
    """`visible`, `absent`: texts as a visitor sees them. `path`: what the address must begin with after the actions.
    `console_errors`: whether errors of the page's scripts and resources that cannot be loaded are accepted."""

    visible: _TEXTS = Field(default_factory=list)
    absent: _TEXTS = Field(default_factory=list)
    title: ExpectedText | None = None
    path: Path | None = None
    console_errors: bool = False


class PageStep(Contract):
    """Open `path` in a browser (or stay on the page of the step before, without one), act, look.

    `screenshot`: the name of a picture of what is seen at the end; it becomes a part of the proof.
    """

    kind: Literal["page"] = "page"
    path: Path | None = None
    actions: list[PageAction] = Field(default_factory=list, max_length=30)
    expect: PageExpectation = Field(default_factory=PageExpectation)
    screenshot: ScreenshotName | None = None
    within_s: WithinSeconds = 5
    service: ServiceName | None = None


class BotExpectation(Contract):
    """What the bot answers, all its messages after the step taken together. `buttons`: texts of buttons that are there.
    `silent`: it must not answer within the time."""

    contains: _TEXTS = Field(default_factory=list)
    lacks: _TEXTS = Field(default_factory=list)
    buttons: _TEXTS = Field(default_factory=list)
    silent: bool = False


class BotStep(Contract):
    """A message to the bot, or a press of a button of its newest message that has one: by text, or by callback data.

    `person`: who writes; each number is another person. Without an expectation any answer will do.
    """

    kind: Literal["bot"] = "bot"
    send: Annotated[str, StringConstraints(min_length=1, max_length=4_000)] | None = None
    press: ShortText | None = None
    callback: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    person: int = Field(default=1, ge=1, le=9)
    expect: BotExpectation = Field(default_factory=BotExpectation)
    within_s: WithinSeconds = 10

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if sum(one is not None for one in (self.send, self.press, self.callback)) != 1:
            raise PydanticCustomError("one_action", "a step of a bot is one of: send, press, callback")
        return self


class RestartStep(Contract):
    """Stop the services and start them again on the same data: what was saved must still be there."""

    kind: Literal["restart"] = "restart"


CheckStep = Annotated[HttpStep | PageStep | BotStep | RestartStep, Field(discriminator="kind")]


class AcceptanceCheck(Contract):
    """What shows one criterion: steps in order; the first that is not as expected ends it."""

    id: Identifier
    criterion_id: Identifier
    title: ShortText
    steps: list[CheckStep] = Field(min_length=1, max_length=MAX_STEPS)

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        size = size_of([self])
        if size > MAX_CHECK_BYTES:
            raise PydanticCustomError(
                "check_too_large",
                "the check has {size} bytes, at most {most} fit",
                {"size": size, "most": MAX_CHECK_BYTES},
            )
        if not any(_expects(step) for step in self.steps):
            raise PydanticCustomError("nothing_expected", "no step of the check expects anything")
        _refuse_unknown_variables(self.steps)
        return self

    @property
    def needs(self) -> set[str]:
        """Kinds of its steps: http, page, bot, restart."""
        return {step.kind for step in self.steps}


def size_of(checks: Iterable[AcceptanceCheck]) -> int:
    """Bytes that they take in a message: JSON in UTF-8. Every bound on checks is measured by this."""
    return sum(len(check.model_dump_json().encode()) + 1 for check in checks)


def _expects(step: CheckStep) -> bool:
    """An answer of a bot is an expectation by itself, and so is a page without errors."""
    return step.kind in {"bot", "page"} or (isinstance(step, HttpStep) and step.expect != HttpExpectation())


def _refuse_unknown_variables(steps: list[CheckStep]) -> None:
    known = {UNIQUE}
    for number, step in enumerate(steps, start=1):
        for name in _variables(step.model_dump(mode="json", exclude={"save"})):
            if name not in known:
                raise PydanticCustomError(
                    "unknown_variable",
                    "step {step} uses {name}, which no step before it saves",
                    {"step": number, "name": f"{{{name}}}"},
                )
        known |= set(step.save) if isinstance(step, HttpStep) else set()


def _variables(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        yield from _VARIABLE.findall(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _VARIABLE.findall(str(key))
            yield from _variables(item)
    elif isinstance(value, list):
        for item in value:
            yield from _variables(item)


def _bounded(checks: list[AcceptanceCheck]) -> list[AcceptanceCheck]:
    if len({check.id for check in checks}) < len(checks):
        raise PydanticCustomError("duplicate_id", "every check needs an id of its own")
    size = size_of(checks)
    if size > MAX_CHECKS_BYTES:
        raise PydanticCustomError(
            "checks_too_large",
            "the checks have {size} bytes, at most {most} fit",
            {"size": size, "most": MAX_CHECKS_BYTES},
        )
    return checks


AcceptanceChecks = Annotated[list[AcceptanceCheck], Field(max_length=MAX_CHECKS), AfterValidator(_bounded)]
"""Checks with unique ids that fit into a message."""


class AcceptanceRequest(Step):
    """Run `checks` against the services of `commit`. `timeout_s`: seconds for all of it, the start included.
    `answer_limit`: characters of each answer that the report keeps.

    `not_checkable`: criterion to the reason why no check can show it, where whoever wrote the checks gave one. Other
    criteria without a check are not checkable, too.
    """

    task_id: Identifier
    project_id: Identifier
    project_name: str = Field(default="project", max_length=100)
    repository: RepositoryFullName
    commit: CommitSha
    criteria: Criteria
    checks: AcceptanceChecks = Field(default_factory=list)
    not_checkable: dict[Identifier, Annotated[str, StringConstraints(max_length=500)]] = Field(
        default_factory=dict, max_length=MAX_CRITERIA
    )
    timeout_s: int = Field(default=900, ge=30, le=3_600)
    answer_limit: int = Field(default=1_500, ge=100, le=400_000)

    @model_validator(mode="after")
    def _checks_show_criteria(self) -> Self:
        known = {criterion.id for criterion in self.criteria}
        for check in self.checks:
            if check.criterion_id not in known:
                raise PydanticCustomError(
                    "unknown_criterion", "check {id} is for a criterion that is not asked for", {"id": check.id}
                )
        return self


class CheckResult(Step):
    """What one check has shown. `step`: the number of the one that was not as expected, from 1. `detail` says what was
    expected and what was seen. `screenshots` are names."""

    check_id: Identifier
    criterion_id: Identifier
    title: ShortText
    state: CriterionState
    step: int | None = None
    detail: str = Field(default="", max_length=1_000)
    screenshots: list[str] = Field(default_factory=list, max_length=MAX_SCREENSHOTS)
    duration_ms: int = 0


class Screenshot(Step):
    """A picture that a check took."""

    name: str = Field(max_length=100)
    check_id: Identifier
    criterion_id: Identifier
    artifact: ArtifactRef


class AcceptanceResult(Step):
    """What was found out about exactly `commit`. Each criterion is met, not met or not checkable, with its proof.

    `evidence` is for whoever mends it: bounded, without values of secrets. `fingerprint` names what was missed, so that
    the same failure twice is recognised; None when nothing was. `report` has every request and answer, as JSON.
    """

    commit: CommitSha
    criteria: list[Criterion] = Field(max_length=MAX_CRITERIA)
    checks: list[CheckResult] = Field(default_factory=list, max_length=MAX_CHECKS)
    evidence: str = Field(default="", max_length=8_000)
    fingerprint: str | None = None
    report: ArtifactRef | None = None
    screenshots: list[Screenshot] = Field(default_factory=list, max_length=MAX_SCREENSHOTS)
    duration_ms: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing that was checked was missed."""
        return all(criterion.state is not CriterionState.NOT_MET for criterion in self.criteria)

    @property
    def artifacts(self) -> list[ArtifactRef]:
        """All that a person may look at."""
        return [*([self.report] if self.report else []), *(one.artifact for one in self.screenshots)]
