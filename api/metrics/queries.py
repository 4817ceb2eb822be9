"""Counts of the database for Prometheus."""

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.tables import QuestionRow, TaskRow
from contracts.states import QuestionState, TaskState


async def count_work(session: AsyncSession) -> list[Metric]:
    """Tasks and open questions as the database has them now; the same from every replica of the API."""
    tasks = GaugeMetricFamily(
        "orchestrator_tasks", "Tasks; finished ones without a stage", labels=("kind", "state", "stage")
    )
    open_ones = col(TaskRow.state).not_in([state.value for state in TaskState if state.is_final])
    stage = case((open_ones, col(TaskRow.stage)), else_="").label("stage")
    by = (col(TaskRow.kind), col(TaskRow.state), stage)
    for kind, state, where, count in await session.execute(select(*by, func.count()).group_by(*by)):
        tasks.add_metric((kind, state, where), count)
    questions = GaugeMetricFamily("orchestrator_open_questions", "Open questions", labels=("kind",))
    asked = select(col(QuestionRow.kind), func.count()).where(col(QuestionRow.state) == QuestionState.OPEN.value)
    for kind, count in await session.execute(asked.group_by(col(QuestionRow.kind))):
        questions.add_metric((kind,), count)
    return [tasks, questions]
