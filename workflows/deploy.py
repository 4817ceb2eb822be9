"""Deploy: one project's releases, one at a time: from a commit to a URL that answered from outside.

Update `submit` hands over another message while one runs: the same work joins it, other work waits its turn.
Update `outcome` waits for the result of one message, `withdraw` takes one back; `answer` goes straight here. Cancel
stops the release program, puts the previous release back and is confirmed. The final state of every task is written on
success, failure and cancellation.
"""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from activities.deployment import DevopsNodes, links_of
    from contracts import ids
    from contracts.departments import DeployMessage, DeployResult
    from contracts.errors import ErrorCode, with_ending
    from contracts.names import GraphName, SearchAttribute, UpdateName, WorkflowName
    from contracts.nouns import StartedTask
    from contracts.questions import AnswerAccepted, AnswerCommand
    from contracts.states import (
        DeployAction,
        ProjectStatus,
        QuestionKind,
        ReleaseState,
        ResultStatus,
        Stage,
        TaskKind,
    )
    from contracts.steps import (
        Allocation,
        ChosenRelease,
        Done,
        OperationRequest,
        OperationResult,
        ReleaseChoice,
    )
    from contracts.subjects import Subject
    from workflows import failures, options, patches, rules
    from workflows.deploy_endings import GRAPH_ACTIONS, Attempt, cancel_waiting
    from workflows.graph_run import run_graph
    from workflows.ledger import Ledger, Sequence

_STAGES = {
    "analyse": (Stage.ANALYSING, 10, "Reading what the commit needs."),
    "resolve": (Stage.RESOLVING, 20, "Resolving secrets."),
    "allocate": (Stage.ALLOCATING, 30, "Allocating server and ports."),
    "deploy": (Stage.DEPLOYING, 45, "Installing the release on the server."),
    "probe": (Stage.PROBING, 80, "Checking the URL from outside."),
    "watch": (Stage.WATCHING, 88, "The URL answers; watching the release before it counts as live."),
    "promote": (Stage.PROMOTING, 95, "The release answers; recording it as the active one."),
    "roll_back": (Stage.ROLLING_BACK, 90, ""),
}
_OPERATIONS = {
    DeployAction.STOP: ("Stopping the service.", "The service is stopped."),
    DeployAction.RESTART: ("Restarting the service.", "The service is running again."),
    DeployAction.REMOVE: ("Removing the service.", "The service is removed. The server keeps its data in `.removed`."),
}
_SERVER = SearchAttributeKey.for_keyword(SearchAttribute.SERVER_HANDLE)


@workflow.defn(name=WorkflowName.DEPLOY)
class DeployWorkflow:
    @workflow.init
    def __init__(self, message: DeployMessage) -> None:
        self._sequence = Sequence()
        self._waiting: list[DeployMessage] = [message]
        self._attempt: Attempt | None = None
        self._work: asyncio.Task[None] | None = None
        self._withdrawn = ""
        self._ledger = self._ledger_of(message)
        self._ledgers: dict[str, Ledger] = {message.task_id: self._ledger}
        self._results: dict[str, DeployResult] = {}
        self._failures: dict[str, BaseException] = {}

    @workflow.run
    async def run(self, message: DeployMessage) -> DeployResult:
        try:
            while self._waiting:
                failures.stop_if_cancelled()
                await self._perform_next(self._waiting.pop(0))
                await workflow.wait_condition(lambda: bool(self._waiting) or workflow.all_handlers_finished())
        except failures.ENDINGS as error:
            if failures.is_cancellation(error):
                await self._cancel_all_waiting()
            raise
        finally:
            await workflow.wait_condition(workflow.all_handlers_finished)
        return self._result_of_run(message)

    # Handlers --------------------------------------------------------------------------------------------

    @workflow.update(name=UpdateName.SUBMIT)
    def submit(self, message: DeployMessage) -> StartedTask:
        return self._take_in(message)

    def _take_in(self, message: DeployMessage) -> StartedTask:
        workflow_id = workflow.info().workflow_id
        if self._has_ended(message.task_id):
            return StartedTask(task_id=message.task_id, workflow_id=workflow_id)
        known = [*([self._attempt.message] if self._attempt else []), *self._waiting]
        for other in known:
            if other.task_id == message.task_id:
                return StartedTask(task_id=other.task_id, workflow_id=workflow_id, queued=other in self._waiting)
            if self._is_same_work(other, message):
                return StartedTask(task_id=other.task_id, workflow_id=workflow_id, joined=True)
        self._waiting.append(message)
        self._ledgers[message.task_id] = self._ledger_of(message)
        if patches.queued_is_seen():
            self._ledgers[message.task_id].queue("Waiting behind another deploy of this project.")
        return StartedTask(task_id=message.task_id, workflow_id=workflow_id, queued=True)

    @submit.validator
    def _may_submit(self, message: DeployMessage) -> None:
        if ids.deploy_workflow_id(message.project_slug) != workflow.info().workflow_id:
            raise failures.failure(ErrorCode.INVALID_INPUT, "This workflow deploys another project.")
        if len(self._waiting) >= 20:
            raise failures.failure(
                ErrorCode.WORKFLOW_BUSY, "Twenty deploys of this project are already waiting. Try again later."
            )

    @workflow.update(name=UpdateName.OUTCOME)
    async def outcome(self, message: DeployMessage) -> DeployResult:
        """Wait for the result of a message; hand the message over first if it is not known here."""
        task_id = self._take_in(message).task_id
        await workflow.wait_condition(lambda: self._has_ended(task_id))
        if task_id in self._failures:
            raise failures.failure(*failures.code_and_message(self._failures[task_id]))
        return self._results[task_id]

    def _has_ended(self, task_id: str) -> bool:
        return task_id in self._results or task_id in self._failures

    @workflow.update(name=UpdateName.WITHDRAW)
    async def withdraw(self, message: DeployMessage) -> Done:
        """Cancel one message, whether it waits or runs; what others have asked for continues."""
        waiting = next((other for other in self._waiting if other.task_id == message.task_id), None)
        if waiting is not None:
            self._waiting.remove(waiting)
            self._failures[waiting.task_id] = await cancel_waiting(self._ledgers[waiting.task_id])
        elif self._work is not None and self._attempt is not None and self._attempt.message.task_id == message.task_id:
            self._withdrawn = message.task_id
            self._work.cancel()
            await workflow.wait_condition(lambda: self._has_ended(message.task_id))
        return Done()

    @workflow.update(name=UpdateName.ANSWER)
    def answer(self, command: AnswerCommand) -> AnswerAccepted:
        self._ledger.accept(command)
        return AnswerAccepted(question_id=command.question_id, message="Thank you; the deploy continues.")

    @answer.validator
    def _may_answer(self, command: AnswerCommand) -> None:
        asked = {question for ledger in self._ledgers.values() for question in ledger.asked}
        refusal = rules.refusal(self._ledger.question, asked, command)
        if refusal:
            raise failures.failure(*refusal)

    def _is_same_work(self, other: DeployMessage, message: DeployMessage) -> bool:
        """Equal work is joined. "The newest" joins only what has not yet looked which commit that is."""
        if (other.action, other.release_id) != (message.action, message.release_id):
            return False
        chosen = self._attempt.chosen if self._attempt is not None and self._attempt.message is other else None
        if chosen is not None:
            return message.action is DeployAction.DEPLOY and message.commit == chosen.commit
        return other.commit == message.commit

    # Phases ----------------------------------------------------------------------------------------------

    async def _perform_next(self, message: DeployMessage) -> None:
        """Carry one message out in a task of its own, so that it can be withdrawn alone."""
        self._work = asyncio.create_task(self._perform(message))
        try:
            await self._work
        except asyncio.CancelledError:
            failures.stop_if_cancelled()
            if self._withdrawn != message.task_id:
                raise

    async def _perform(self, message: DeployMessage) -> None:
        self._ledger = self._ledgers[message.task_id]
        attempt = self._attempt = Attempt(message, self._ledger)
        try:
            acknowledged = await self._ledger.open(f"{message.action.value.capitalize()} has started.")
            if acknowledged.closed:
                self._failures[message.task_id] = failures.already_ended()
                return
            self._results[message.task_id] = await self._carry_out(attempt)
        except failures.ENDINGS as error:
            if failures.is_cancellation(error):
                self._failures[message.task_id] = await attempt.cancel()
                raise asyncio.CancelledError from error
            self._failures[message.task_id] = await attempt.fail(error)
        finally:
            self._attempt = None
            if not self._has_ended(message.task_id):
                unwritten = failures.failure(ErrorCode.INTERNAL, "The end of this deploy could not be recorded.")
                self._failures[message.task_id] = unwritten

    async def _carry_out(self, attempt: Attempt) -> DeployResult:
        message = attempt.message
        if message.action not in GRAPH_ACTIONS:
            return await self._operate(attempt)
        self._ledger.stage(Stage.CHOOSING, "Looking up the commit.", percent=5)
        chosen = attempt.chosen = await self._choose(message)
        joined = self._just_deployed(message, chosen)
        if joined is not None:
            return await attempt.complete(joined, f"Release {joined.release_id} of this commit has just gone live.")
        return await self._release(attempt, chosen)

    def _just_deployed(self, message: DeployMessage, chosen: ChosenRelease) -> DeployResult | None:
        """The release of the same commit that went live while this message waited: one commit, one release."""
        latest = next(reversed(self._results.values()), None)
        same = latest is not None and latest.release_state is ReleaseState.ACTIVE and latest.commit_sha == chosen.commit
        return latest if same and message.action is DeployAction.DEPLOY else None

    async def _release(self, attempt: Attempt, chosen: ChosenRelease) -> DeployResult:
        attempt.state = self._first_state(attempt.message, chosen)
        attempt.state = state = await run_graph(
            GraphName.DEVOPS,
            attempt.state,
            entered=partial(self._entered, attempt),
            interrupted=partial(self._ask, attempt.message),
        )
        if state.get("status") == "active":
            result = self._result(attempt.message, state)
            return await attempt.complete(result, f"Live at {result.deployed_url}, commit {chosen.commit[:12]}.")
        if state.get("stopped"):
            raise failures.failure(ErrorCode.STOPPED_BY_PERSON, "Stopped by a person's answer; nothing was deployed.")
        code = str(state.get("error_code") or ErrorCode.PLAYBOOK_FAILED.value)
        reason = str(state.get("error") or "The release failed.")
        raise failures.failure(attempt.code_of(code), with_ending(reason, attempt.what_serves()))

    def _first_state(self, message: DeployMessage, chosen: ChosenRelease) -> dict[str, Any]:
        return {
            "task_id": message.task_id,
            "project_id": message.project_id,
            "project_name": self._project_name(message),
            "repository": self._repository(message),
            "release_id": chosen.release_id,
            "commit": chosen.commit,
            "rollback": message.action is DeployAction.ROLLBACK,
            "require_approval": message.require_approval,
            **({"watch_s": message.watch_s} if message.watch_s else {}),
        }

    def _entered(self, attempt: Attempt, node: str, state: dict[str, Any]) -> None:
        if self._withdrawn == attempt.message.task_id:
            raise asyncio.CancelledError  # see failures.stop_if_cancelled
        attempt.state = {**attempt.state, **state}
        attempt.reached.add(node)
        if node not in _STAGES:
            return
        stage, percent, text = _STAGES[node]
        project_status = ProjectStatus.DEPLOYING if node == "deploy" else None
        if node == "deploy":
            workflow.upsert_search_attributes([_SERVER.value_set(self._server(state))])
        if node == "watch":
            text = f"{state.get('url')} answers; watching it for {state.get('watch_s')} s before it counts as live."
        if node == "roll_back":
            text = " ".join([attempt.undoing(), str(state.get("error") or "")]).rstrip()
        self._ledger.stage(stage, text, percent=percent, project_status=project_status)

    async def _ask(self, message: DeployMessage, interrupt: dict[str, Any], state: dict[str, Any]) -> str:
        reminder = timedelta(seconds=message.question_reminder_s)
        if interrupt["kind"] == "approval":
            text = f"Deploy commit {state['commit'][:12]} of {state['project_name']} to {self._server(state)}?"
            answer = await self._ledger.ask(
                QuestionKind.APPROVAL,
                text,
                choices=[rules.APPROVE, rules.STOP],
                reminder=reminder,
                plan_hash=state["commit"],
            )
            return answer.text
        names = [str(name) for name in interrupt["names"]]
        command = f"orchestrator secret set {state['project_name']} {names[0]}"
        text = f"The service needs {', '.join(names)}. Set it with `{command}`, or answer this question."
        answer = await self._ledger.ask(
            QuestionKind.SECRET, text, choices=[rules.STOP], reminder=reminder, secret_names=names
        )
        return answer.text

    async def _operate(self, attempt: Attempt) -> DeployResult:
        message, action = attempt.message, attempt.message.action.value
        doing, outcome = _OPERATIONS[attempt.message.action]
        self._ledger.stage(Stage(action), doing, percent=30)
        done = await self._run_operation(message)
        if not done.ok:
            raise failures.failure(ErrorCode.PLAYBOOK_FAILED, done.error or f"{action} failed")
        result = DeployResult(
            request_id=message.request_id, status=ResultStatus.SUCCESS, deployed_url=done.url, summary=outcome
        )
        return await attempt.complete(result, outcome)

    async def _cancel_all_waiting(self) -> None:
        while self._waiting:
            message = self._waiting.pop(0)
            self._failures[message.task_id] = await cancel_waiting(self._ledgers[message.task_id])

    def _result_of_run(self, message: DeployMessage) -> DeployResult:
        if message.task_id in self._failures:
            raise failures.failure(*failures.code_and_message(self._failures[message.task_id]))
        return self._results[message.task_id]

    # Reading the state -----------------------------------------------------------------------------------

    def _ledger_of(self, message: DeployMessage) -> Ledger:
        unnamed = {DeployAction.DEPLOY: ": the newest commit", DeployAction.ROLLBACK: ": the previous release"}
        named = message.commit[:12] if message.commit else message.release_id
        what = f": {named}" if named else unnamed.get(message.action, "")
        return Ledger(
            kind=TaskKind.DEPLOY,
            task_id=message.task_id,
            subject=Subject.project(message.project_id),
            user_id=message.user_id,
            title=f"{message.action.value.capitalize()} {self._project_name(message)}{what}",
            request_id=message.request_id,
            parent_task_id=message.parent_task_id,
            parent_workflow_id=message.parent_workflow_id,
            sequence=self._sequence,
        )

    def _project_name(self, message: DeployMessage) -> str:
        return message.project_name or message.project_id

    def _repository(self, message: DeployMessage) -> str:
        if message.repository is None:
            raise failures.failure(ErrorCode.INVALID_INPUT, rules.NO_REPOSITORY)
        return message.repository

    def _server(self, state: dict[str, Any]) -> str:
        return str(state.get("allocation", {}).get("server_handle", "the server"))

    def _result(self, message: DeployMessage, state: dict[str, Any]) -> DeployResult:
        allocation = Allocation.model_validate(state["allocation"])
        return DeployResult(
            request_id=message.request_id,
            status=ResultStatus.SUCCESS,
            deployed_url=state["url"],
            server_ip=allocation.server_ip,
            port=allocation.ports[0].port if allocation.ports else None,
            commit_sha=state["commit"],
            release_id=state["release_id"],
            release_state=ReleaseState.ACTIVE,
            links=links_of(state),
        )

    # Activities ------------------------------------------------------------------------------------------

    async def _choose(self, message: DeployMessage) -> ChosenRelease:
        rollback = message.action is DeployAction.ROLLBACK
        choice = ReleaseChoice(
            project_id=message.project_id,
            repository=self._repository(message),
            action=message.action,
            commit=message.commit,
            release_id=message.release_id if rollback else ids.release_id_for_task(message.task_id),
        )
        return await workflow.execute_activity_method(
            DevopsNodes.choose, choice, **options.named(options.CHOOSE, f"Look up the commit to {message.action.value}")
        )

    async def _run_operation(self, message: DeployMessage) -> OperationResult:
        request = OperationRequest(
            project_id=message.project_id,
            project_name=self._project_name(message),
            task_id=message.task_id,
            action=message.action,
        )
        return await workflow.execute_activity_method(
            DevopsNodes.operate, request, **options.named(options.RELEASE_RUN, f"{message.action.value} the service")
        )
