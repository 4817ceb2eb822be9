"""A workflow about any subject, that asks a person something: the product's own are about projects so far."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.base import Contract
    from contracts.names import UpdateName
    from contracts.questions import AnswerAccepted, AnswerCommand
    from contracts.states import QuestionKind, Stage, TaskKind, TaskState
    from contracts.subjects import Subject
    from workflows import failures, rules
    from workflows.ledger import Ledger


class Errand(Contract):
    """Something to be asked about a subject, for a user."""

    task_id: str
    subject: Subject
    user_id: int


@workflow.defn(name="test.errand")
class ErrandWorkflow:
    """Asks whether to go on, and says in its result what was answered."""

    @workflow.init
    def __init__(self, errand: Errand) -> None:
        self._ledger = Ledger(
            kind=TaskKind.ENGINEERING,
            task_id=errand.task_id,
            subject=errand.subject,
            user_id=errand.user_id,
            title=f"An errand on the {errand.subject}",
            request_id=errand.task_id,
        )

    @workflow.run
    async def run(self, errand: Errand) -> str:
        await self._ledger.open("The errand has begun.")
        self._ledger.stage(Stage.TESTING, "Looking at it.", percent=50)
        answer = await self._ledger.ask(
            QuestionKind.APPROVAL, "Go on?", choices=[rules.APPROVE, rules.STOP], reminder=timedelta(days=1)
        )
        await self._ledger.finish(TaskState.COMPLETED, "Done.", result={"summary": answer.text})
        return answer.text

    @workflow.update(name=UpdateName.ANSWER)
    def answer(self, command: AnswerCommand) -> AnswerAccepted:
        self._ledger.accept(command)
        return AnswerAccepted(question_id=command.question_id)

    @answer.validator
    def _may_answer(self, command: AnswerCommand) -> None:
        refusal = rules.refusal(self._ledger.question, self._ledger.asked, command)
        if refusal:
            raise failures.failure(*refusal)
