"""Checks of what the script understands of a wish: things with fields, what is not to be shown, pages, commands.

They are written from the wish and the API description; the code is not looked at. What the script does not understand
has no check, which is said.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from activities.adapters.agents.scripted.reading.nouns import plural
from activities.adapters.agents.scripted.reading.wish import Change, Entity, Field, Wish
from activities.adapters.planning import check_names, samples
from activities.adapters.planning.openapi import ApiDescription, Collection
from activities.adapters.planning.understanding import understood
from activities.ports import Follow
from contracts.acceptance import (
    MAX_CHECKS,
    MAX_CHECKS_BYTES,
    AcceptanceCheck,
    BotExpectation,
    BotStep,
    CheckStep,
    HttpExpectation,
    HttpStep,
    JsonExpectation,
    PageAction,
    PageExpectation,
    PageStep,
    size_of,
)
from contracts.criteria import Criterion
from contracts.planning import CheckWriting, Judge, WrittenChecks
from contracts.states import Module

NO_CHECK = "The script that writes checks has none for these words. An agent with a model may write one."
NO_DESCRIPTION = "The running service does not describe its API, so no check could be written."
TOO_MANY = "More checks would be needed than can be run."
UNUSABLE = "What the running service says of its API cannot be sent to it, so no check could be written."
_NOTHING: dict[str, Any] = {"paths": {}}
_NO_FIELD = re.compile(r"There is no field (.+)\.")
_MOST_EXPECTED = 500
_LAST = 40


@dataclass(frozen=True)
class ScriptCheckWriter:
    """A pure function of what it is written from."""

    async def write(self, request: CheckWriting, follow: Follow) -> WrittenChecks:
        """Every check has an id that says what it is about: the same promise made again has the same one."""
        criteria, wish, given = request.spec.acceptance, understood(request.spec), request.api_description
        if not criteria:
            return WrittenChecks()
        if given is None and (wish.changes or not request.is_first):
            # What is there already may need more than the wish names.
            return WrittenChecks(needs_description=True)
        api = ApiDescription(_NOTHING) if given is None else ApiDescription.read(given)
        found: dict[str, AcceptanceCheck] = {}
        reasons = {one.id: NO_CHECK if api is not None else NO_DESCRIPTION for one in criteria}
        for words, written in _Writer(wish, api, set(request.spec.modules)).things():
            try:
                checks = [_check(one, criteria) for one in written]
            except ValidationError:
                reasons[closest(words, criteria).id] = UNUSABLE
                continue
            for check in checks:
                found.setdefault(check.id, check)
        return _within(list(found.values()), reasons)

    async def stop(self, judge: Judge) -> None:
        """It never runs for long."""


def _check(written: "Written", criteria: Sequence[Criterion]) -> AcceptanceCheck:
    words, name, title, steps = written
    return AcceptanceCheck(id=name, criterion_id=closest(words, criteria).id, title=title, steps=steps)


def _within(checks: list[AcceptanceCheck], reasons: dict[str, str]) -> WrittenChecks:
    """As many as a run takes."""
    while len(checks) > MAX_CHECKS or size_of(checks) > MAX_CHECKS_BYTES:
        reasons[checks.pop().criterion_id] = TOO_MANY
    shown = {one.criterion_id for one in checks}
    missing = {name: reason for name, reason in reasons.items() if name not in shown}
    return WrittenChecks(checks=checks, not_checkable=missing)


def closest(words: str, criteria: Sequence[Criterion]) -> Criterion:
    """The criterion that quotes most of the words, or says them."""
    wanted = _tokens(words)

    def shared(one: Criterion) -> tuple[int, int, int]:
        quoted, said = _tokens(one.words), _tokens(one.sentence)
        return len(wanted & quoted), len(wanted & said), -len(quoted)

    return max(criteria, key=shared)


Written = tuple[str, str, str, list[CheckStep]]
"""The words that a check is for, its id, its title, its steps."""


@dataclass(frozen=True)
class _Writer:
    wish: Wish
    api: ApiDescription | None
    modules: set[Module]

    def things(self) -> Iterator[tuple[str, Iterator[Written]]]:
        """The words of each thing, and its checks. Whoever reads these gets a ValidationError if something of the
        service's description cannot be sent."""
        if Module.BACKEND in self.modules and self.api is not None:
            for thing in self.wish.entities:
                yield self._words(thing.singular) or thing.path, self._thing(thing)
            for change in self.wish.changes:
                yield change.words, self._change(change)
        if Module.TG_BOT in self.modules:
            yield "", self._commands()

    def _thing(self, thing: Entity) -> Iterator[Written]:
        words = self._words(thing.singular) or thing.path
        collection, what = self._collection(thing.singular, thing.path), thing.path.replace("-", " ")
        body = _body(thing.fields, collection)
        created = HttpStep(method="POST", path=collection.path, json=body, expect=HttpExpectation(status="2xx"))
        listed = HttpStep(path=collection.path, expect=HttpExpectation(status=200, contains=_words_sent(body)))
        yield words, check_names.named(check_names.THING, thing.singular), f"{what} are stored", [created, listed]
        for one in thing.fields:
            yield from self._field(thing, one, collection, body, words)
        for name in self._left_out():
            absent = _echo(collection, body, JsonExpectation(path=name, absent=True))
            yield name, check_names.named(check_names.ABSENT, thing.singular, name), f"no {name} in {what}", [absent]
        if Module.WEB in self.modules and not any(one.type == "password" for one in thing.fields):
            yield words, check_names.named(check_names.PAGE, thing.singular), f"a page with {what}", [
                created, *_page(thing, _words_sent(body))
            ]  # fmt: skip

    def _field(
        self, thing: Entity, field: Field, collection: Collection, body: dict[str, Any], words: str
    ) -> Iterator[Written]:
        what, name = thing.path.replace("-", " "), field.name
        if field.type == "password":
            hidden = check_names.named(check_names.HIDDEN, thing.singular, name)
            yield self._denial(name) or words, hidden, f"{name} is not shown", _hidden(collection, body, name)
            return
        seen = samples.seen_of(field, body[name])
        expected = {"contains": seen} if field.type == "datetime" else {"equals": seen}
        echoed = _echo(collection, body, JsonExpectation.model_validate({"path": name, **expected}))
        yield words, check_names.named(check_names.FIELD, thing.singular, name), f"{name} of {what}", [echoed]

    def _change(self, change: Change) -> Iterator[Written]:
        if change.kind == "remove-command":
            return
        collection = self._collection(change.name, plural(change.name))
        if change.kind == "remove-entity":
            gone = HttpStep(path=f"/{plural(change.name)}", expect=HttpExpectation(status="4xx"))
            yield change.words, check_names.named(check_names.GONE, change.name), f"no {change.name}", [gone]
        elif change.kind == "remove-fields":
            body = _body((), collection)
            for one in change.fields:
                absent = _echo(collection, body, JsonExpectation(path=one.name, absent=True))
                name = check_names.named(check_names.ABSENT, change.name, one.name)
                yield change.words, name, f"no {one.name} in {change.name}", [absent]
        else:
            body = _body(change.fields, collection)
            thing = Entity(change.name, collection.path.strip("/"), change.fields)
            for one in change.fields:
                yield from self._field(thing, one, collection, body, change.words)

    def _commands(self) -> Iterator[Written]:
        for one in self.wish.commands:
            step = BotStep(send=f"/{one.name}", expect=BotExpectation(contains=[_literal(one.reply)]))
            words = self._words(f"/{one.name}") or f"/{one.name}"
            yield words, check_names.named(check_names.COMMAND, one.name), f"/{one.name} answers", [step]

    def _collection(self, *names: str) -> Collection:
        """As the service describes it; where it describes none, as the wish would have it."""
        found = self.api.collection(set(names)) if self.api is not None else None
        return found or Collection(f"/{names[-1]}", {}, frozenset())

    def _words(self, about: str) -> str:
        return next((one.words for one in self.wish.criteria if one.about == about and one.built), "")

    def _denial(self, name: str) -> str:
        """The words that forbid to show a field."""
        return next((one.words for one in self.wish.criteria if one.sentence.startswith(f"{name} is stored")), "")

    def _left_out(self) -> list[str]:
        said = (_NO_FIELD.fullmatch(one.sentence) for one in self.wish.criteria if one.built)
        return [name for match in said if match for name in match[1].split(", ")]


def _body(fields: Sequence[Field], collection: Collection) -> dict[str, Any]:
    """What the wish names, and what the service needs besides."""
    named = {one.name: samples.of_field(one, collection.properties.get(one.name, {})) for one in fields}
    others = sorted(collection.required - named.keys())
    return {**named, **{name: samples.of_schema(collection.properties.get(name, {})) for name in others}}


def _echo(collection: Collection, body: dict[str, Any], expected: JsonExpectation) -> HttpStep:
    return HttpStep(
        method="POST", path=collection.path, json=body, expect=HttpExpectation(status="2xx", json=[expected])
    )


def _hidden(collection: Collection, body: dict[str, Any], name: str) -> list[CheckStep]:
    """Neither the value nor the field comes back, when it is stored and when all are listed."""
    lacks = [samples.SECRET_WORD, f'"{name}"']
    created = HttpExpectation(status="2xx", lacks=lacks)
    return [
        HttpStep(method="POST", path=collection.path, json=body, expect=created),
        HttpStep(path=collection.path, expect=HttpExpectation(status=200, lacks=lacks)),
    ]


def _page(thing: Entity, words: list[str]) -> list[CheckStep]:
    title = thing.path.replace("-", " ").replace("_", " ").capitalize()
    return [
        PageStep(
            path="/",
            actions=[PageAction(do="click", target=title, role="link")],
            expect=PageExpectation(visible=[title, *words]),
            screenshot=re.sub(r"[^a-z0-9]+", "-", thing.path.lower()).strip("-")[:_LAST],
        )
    ]


def _words_sent(body: dict[str, Any]) -> list[str]:
    return [samples.WORD] if samples.WORD in body.values() else []


def _literal(text: str) -> str:
    """The longest part of a text without braces, which would name a variable; of one line."""
    parts = [part.strip() for line in text.splitlines() for part in re.split(r"[{}]", line)]
    return max(parts, key=len)[:_MOST_EXPECTED]


def _tokens(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))
