"""A workflow that does nothing but tell: each line is a projection, one after the other."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.states import TaskKind
    from contracts.subjects import Subject
    from workflows.ledger import Ledger


@workflow.defn(name="bench-telling")
class TellingWorkflow:
    @workflow.run
    async def run(self, lines: int) -> None:
        task_id = workflow.info().workflow_id
        ledger = Ledger(
            kind=TaskKind.ENGINEERING,
            task_id=task_id,
            subject=Subject.project("p-1"),
            user_id=1,
            title="Notes",
            request_id="r",
        )
        for number in range(lines):
            ledger.note(f"The Developer is working, turn {number}.")
        await ledger.flush()
