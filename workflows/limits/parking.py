"""How work goes on that a model's limit has stopped: a person is asked, a time is waited out, another agent takes over.

A task parks here between two turns. Silence holds, except for a usage window: that ends by itself, as people are told.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.agent import AgentActivities
    from contracts import limit_answers as answers
    from contracts.departments import DeliveryMessage, EngineeringMessage
    from contracts.models import ModelLimit, RaiseModelBudget
    from contracts.questions import AnswerCommand
    from contracts.states import AgentKind, QuestionKind
    from workflows import options
    from workflows.ledger import Ledger
    from workflows.limits import questions, resuming
    from workflows.limits.questions import LimitQuestion
    from workflows.limits.resuming import Resumption

# A vendor's overload passes in seconds or lasts for an hour: four tries in eight minutes tell the two apart.
BACKOFFS = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 120, 300))

# With another agent at hand nobody waits longer than it takes to see that it is no short overload.
_TRIES_BEFORE_FAILOVER = 2

# What takes longer than this is a usage window, whatever the vendor calls it.
_SHORT = timedelta(minutes=10)

# The proxy's clock decides when a window is open; ours may be a little before it.
_MARGIN = timedelta(seconds=1)

# An agent that was left without a promise is thought of again after this.
_FORGOTTEN = timedelta(hours=1)

# Nothing that a vendor promises is later than this; a later time is a mistake, and a person decides.
_LONGEST = timedelta(days=32)


_TROUBLE = {"rate": "is overloaded", "window": "was at its limit"}


class Parking:
    """Decides for one task. It remembers what was tried since the last turn that went well."""

    def __init__(self, message: EngineeringMessage | DeliveryMessage, ledger: Ledger) -> None:
        self._message = message
        self._ledger: Ledger = ledger
        self._agent = message.agent
        self._model = message.model
        self._last_turn, self._last_step = 0, resuming.DEVELOP
        self._tries = 0
        self._has_begun_anew = False
        self._warned: set[tuple[str | None, str | None, float | None]] = set()
        self._limited: dict[AgentKind, datetime] = {}

    async def resume(self, limit: ModelLimit, stop: resuming.Stop) -> Resumption:
        """Return how the work goes on, once it may. `stop`: what was stopped, or warned."""
        if stop.turn > self._last_turn + 1 or stop.step != self._last_step:
            self._tries, self._has_begun_anew = 0, False
        self._last_turn, self._last_step = stop.turn, stop.step
        # Who judges may be another one than who develops.
        self._agent, self._model = stop.agent or self._message.agent, stop.model
        if limit.kind != "budget":
            self._limited[self._agent] = limit.until or workflow.now() + _FORGOTTEN
        if limit.kind == "budget":
            return await self._spend_more(limit)
        if limit.kind == "auth":
            return self._answered(limit, await self._ask(questions.key_refused(limit, self._agent, self._others())))
        if limit.kind == "request":
            return await self._begin_anew(limit)
        if self._is_window(limit):
            return await self._wait_out(limit)
        return await self._back_off(limit)

    # By kind of limit ------------------------------------------------------------------------------------

    async def _spend_more(self, limit: ModelLimit) -> Resumption:
        budget = (limit.scope, limit.scope_id, limit.limit_usd)
        if limit.warning and budget in self._warned:
            return self._on(limit)
        self._warned.add(budget)
        answer = await self._ask(questions.budget(limit, self._cheaper()))
        raised = answers.raise_of(answer.text)
        if raised is not None:
            await self._raise(limit, raised, answer)
        return self._answered(limit, answer)

    async def _wait_out(self, limit: ModelLimit) -> Resumption:
        other = self._fallback()
        if other is not None:
            return self._switch(other, limit)
        if self._message.wait_for_limits and timedelta() < self._opens_in(limit) < _LONGEST:
            answer = await self._ask_until_open(limit)
            if answer is None:
                return self._on(limit, "The usage window is open again; going on.")
            if answer.text.strip().lower() != answers.HOLD:
                return self._answered(limit, answer)
        held = questions.window(limit, self._agent, self._others(), held=True)
        return self._answered(limit, await self._ask(held))

    async def _back_off(self, limit: ModelLimit) -> Resumption:
        self._tries += 1
        other = self._fallback()
        if other is not None and self._tries > _TRIES_BEFORE_FAILOVER:
            return self._switch(other, limit)
        if self._tries > len(BACKOFFS):
            self._tries = 0
            asked = questions.unavailable(limit, self._agent, self._others())
            return self._answered(limit, await self._ask(asked))
        pause = max(BACKOFFS[self._tries - 1], self._opens_in(limit) + _MARGIN)
        until = questions.moment(workflow.now() + pause)
        what = _TROUBLE.get(limit.kind, "does not answer")
        await self._ledger.pause(pause, f"{limit.account or self._agent.value} {what}; trying again at {until}")
        return self._on(limit)

    async def _begin_anew(self, limit: ModelLimit) -> Resumption:
        """What a session has gathered may be what the model refuses, as when it has become too long."""
        if not self._has_begun_anew:
            self._has_begun_anew = True
            self._ledger.note(
                f"The model refuses what {self._agent.value} sends; it begins anew in the same workspace."
            )
            return self._on(limit).model_copy(update={"fresh": True})
        return self._answered(limit, await self._ask(questions.request_refused(limit, self._agent, self._others())))

    # Answers ---------------------------------------------------------------------------------------------

    def _answered(self, limit: ModelLimit, answer: AnswerCommand) -> Resumption:
        """What a validated answer means for the next turn."""
        said = answer.text.strip().lower()
        if said == answers.STOP:
            return self._on(limit).model_copy(update={"stopped": True})
        agent = answers.agent_of(said)
        if agent is not None and agent is not self._agent:
            return self._switch(agent, limit)
        model = self._cheaper() if said == answers.CHEAPER else answers.model_of(answer.text)
        if model is not None:
            self._model = model
            self._ledger.note(f"For the rest of the task {self._agent.value} uses the model {model}.")
        return self._on(limit)

    def _on(self, limit: ModelLimit, note: str = "") -> Resumption:
        if note:
            self._ledger.note(note)
        return Resumption(agent=self._agent, model=self._model, why=limit.message, before=self._agent)

    def _switch(self, agent: AgentKind, limit: ModelLimit) -> Resumption:
        """Another agent in the same workspace, with a session of its own: models of one vendor are not another's."""
        before, self._agent, self._model = self._agent, agent, None
        self._tries, self._has_begun_anew = 0, False
        self._ledger.note(f"{agent.value} takes over from {before.value}{self._how_it_takes_over()}")
        return self._on(limit).model_copy(update={"fresh": True, "before": before})

    def _how_it_takes_over(self) -> str:
        if self._last_step != resuming.DEVELOP:
            return ", and does this step from its beginning."
        return (
            " on the same workspace and branch. It begins a session of its own and is told what was done; it does not "
            "know the earlier conversation."
        )

    # What can be used ------------------------------------------------------------------------------------

    def _fallback(self) -> AgentKind | None:
        """The first of the fallback agents that is not known to be stopped itself, or the task's own again."""
        own = [self._message.agent] if self._message.fallback_agents else []
        candidates = [*self._message.fallback_agents, *own]
        return next((agent for agent in candidates if self._may_work(agent)), None)

    def _may_work(self, agent: AgentKind) -> bool:
        until = self._limited.get(agent)
        return agent is not self._agent and (until is None or until <= workflow.now())

    def _others(self) -> Sequence[AgentKind]:
        known = dict.fromkeys([self._message.agent, *self._message.fallback_agents])
        return [agent for agent in known if agent is not self._agent]

    def _cheaper(self) -> str | None:
        """The project's cheaper model, unless it is in use; it belongs to the agent with which the task began."""
        model = self._message.cheaper_model
        return model if self._agent is self._message.agent and model != self._model else None

    def _is_window(self, limit: ModelLimit) -> bool:
        """A window that has opened meanwhile is none; nor is a pause of seconds, whatever it is called."""
        opens_in = self._opens_in(limit)
        return opens_in > _SHORT or (limit.kind == "window" and (limit.until is None or opens_in > timedelta()))

    def _opens_in(self, limit: ModelLimit) -> timedelta:
        return max(limit.until - workflow.now(), timedelta()) if limit.until is not None else timedelta()

    # Asking ----------------------------------------------------------------------------------------------

    async def _ask(self, question: LimitQuestion) -> AnswerCommand:
        return await self._ledger.ask(
            QuestionKind.BUDGET,
            question.text,
            choices=question.choices,
            reminder=timedelta(seconds=self._message.question_reminder_s),
            wording=question.wording,
        )

    async def _ask_until_open(self, limit: ModelLimit) -> AnswerCommand | None:
        question = questions.window(limit, self._agent, self._others(), held=False)
        return await self._ledger.ask_until(
            QuestionKind.BUDGET,
            question.text,
            choices=question.choices,
            deadline=self._opens_in(limit) + _MARGIN,
            wording=question.wording,
        )

    async def _raise(self, limit: ModelLimit, add_usd: float, answer: AnswerCommand) -> None:
        budget = await workflow.execute_activity_method(
            AgentActivities.raise_budget,
            RaiseModelBudget(
                request_id=answer.question_id,
                scope=limit.scope or "task",
                scope_id=limit.scope_id or self._message.task_id,
                add_usd=add_usd,
                by=answer.actor.user_id,
            ),
            **options.named(options.SHORT, f"Raise the budget by ${add_usd:g}"),
        )
        allowed = "no limit" if budget.limit_usd is None else f"${budget.limit_usd:g}"
        self._ledger.note(f"The budget was raised by ${add_usd:g} to {allowed}.")
