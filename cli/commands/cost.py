"""`orchestrator cost`"""

from enum import StrEnum
from typing import Annotated

import typer

from cli.client import session
from cli.client.projects import find_project_id
from cli.terminal.options import AnyProject, AsJson
from cli.terminal.output import Output
from contracts.costs import CostLine, CostReport
from runtime.api_client import ApiClient


class By(StrEnum):
    PROJECT = "project"
    TASK = "task"
    AGENT = "agent"
    MODEL = "model"
    ROLE = "role"


def cost(
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Of this calendar month (UTC); default: this one.")
    ] = None,
    project: AnyProject = None,
    by: Annotated[By, typer.Option(help="What each line is about.")] = By.PROJECT,
    as_json: AsJson = False,
) -> None:
    async def work(api: ApiClient, out: Output) -> None:
        report = await api.costs(month=month, project_id=await find_project_id(api, project), by=by.value)
        out.document(report)
        _show(report, out)

    session.run(work, as_json=as_json)


def _show(report: CostReport, out: Output) -> None:
    headers = ("", "COST", "REQUESTS", "INPUT", "CACHED", "OUTPUT", "UNKNOWN", "NAME")
    estimated = any(line.estimated_usd is not None for line in report.items)
    lines = [*report.items, report.total] if report.items else []
    rows = [(*_row(line), *((_estimate(line),) if estimated else ())) for line in lines]
    out.table((*headers, *(("ESTIMATE",) if estimated else ())), rows, empty=f"No costs in {report.month}.")
    if report.more:
        out.say(f"{report.more} more lines are in the total and not shown.")
    if report.total.unknown_requests:
        out.say(
            f"Of {report.total.unknown_requests} requests the use or the price is not known; "
            f"they count for {usd(report.total.unknown_usd)}."
        )
    for budget in report.budgets:
        if budget.limit_usd is not None:
            out.say(f"Budget of {budget.scope_id}: {usd(budget.spent_usd)} of {usd(budget.limit_usd)}.")


def _row(line: CostLine) -> tuple[object, ...]:
    cached = f"{line.cache_read_tokens} read, {line.cache_write_tokens} written"
    unknown = f"{line.unknown_requests} ({usd(line.unknown_usd)})" if line.unknown_requests else ""
    return (
        line.key, usd(line.cost_usd), line.requests, line.input_tokens, cached, line.output_tokens, unknown, line.name,
    )  # fmt: skip


def _estimate(line: CostLine) -> str:
    """What was expected, and by how much it was wrong."""
    if line.estimated_usd is None:
        return ""
    if line.estimated_usd == 0:
        return usd(0.0)
    error = (line.cost_usd - line.estimated_usd) / line.estimated_usd
    return f"{usd(line.estimated_usd)} ({error:+.0%})"


def usd(amount: float) -> str:
    """Cents, and of small amounts as much as tells them apart."""
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"
