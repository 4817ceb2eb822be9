"""How a benchmark is called and what it leaves: tables on the screen, a JSON file, a section of a Markdown page."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console
from rich.table import Table as Drawn

from benchmarks.measuring import Machine, this_machine


@dataclass(frozen=True)
class Table:
    """Rows as people read them."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Findings:
    """What a benchmark found: tables for people, `figures` for programs, remarks that belong beside them."""

    tables: Sequence[Table]
    figures: Mapping[str, Any]
    remarks: Sequence[str] = field(default_factory=list)


_PLAIN_WIDTH = 120
_BEFORE_THE_END_S = 0.1

Measure = Callable[[argparse.Namespace], Coroutine[Any, Any, Findings]]


@dataclass(frozen=True)
class Benchmark:
    """`sizes` are the numbers that decide how long it takes; each is an option of the command line."""

    name: str
    title: str
    sizes: Mapping[str, int]
    measure: Measure

    def parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{self.name}", description=self.title)
        for size, usual in self.sizes.items():
            parser.add_argument(f"--{size.replace('_', '-')}", type=int, default=usual, help=f"default {usual}")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
        parser.add_argument("--markdown", type=Path, metavar="FILE", help="renew its section there")
        return parser


def main(benchmark: Benchmark) -> None:
    """Measure, then show and write; never judges a figure."""
    # what an API or an adapter has to say about each call would hide the tables
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    options = benchmark.parser().parse_args()
    machine = this_machine()
    console = Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH)
    console.print(f"[bold]{benchmark.title}[/bold]\n{machine}", highlight=False)
    if machine.warning:
        console.print(f"[yellow]{machine.warning}[/yellow]", highlight=False)
    findings = asyncio.run(_measured(benchmark, options))
    show(findings, console)
    if options.json:
        options.json.write_text(json.dumps(document(benchmark, machine, options, findings), indent=2) + "\n")
    if options.markdown:
        page = options.markdown.read_text()
        options.markdown.write_text(with_section(page, benchmark.name, markdown(machine, findings)))


async def _measured(benchmark: Benchmark, options: argparse.Namespace) -> Findings:
    findings = await benchmark.measure(options)
    # Interpreters that end as soon as the Temporal core has, crash now and then on their way out.
    await asyncio.sleep(_BEFORE_THE_END_S)
    return findings


def show(findings: Findings, console: Console) -> None:
    """Tables and remarks on a terminal."""
    for table in findings.tables:
        drawn = Drawn(box=None, header_style="bold", pad_edge=False)
        for number, column in enumerate(table.columns):
            drawn.add_column(column, justify="right" if number else "left", overflow="fold")
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)
    for remark in findings.remarks:
        console.print(remark, highlight=False)
    console.print()


def document(
    benchmark: Benchmark, machine: Machine, options: argparse.Namespace, findings: Findings
) -> dict[str, object]:
    """Everything that a program may want to compare."""
    return {
        "benchmark": benchmark.name,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": asdict(machine),
        "sizes": {size: getattr(options, size) for size in benchmark.sizes},
        "figures": findings.figures,
    }


def markdown(machine: Machine, findings: Findings) -> str:
    """The section of a page, without its heading."""
    blocks = [_rows(table) for table in findings.tables]
    blocks += list(findings.remarks)
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    blocks.append(f"*Measured on {when}: {machine}.*" + (f" **{machine.warning}**" if machine.warning else ""))
    return "\n\n".join(blocks)


def _rows(table: Table) -> str:
    lines = [table.columns, ["---", *(["---:"] * (len(table.columns) - 1))], *table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_section(page: str, name: str, text: str) -> str:
    """The page with the text between the marks of this benchmark replaced; a page without them is refused."""
    begin, end = f"<!-- benchmark {name} -->", f"<!-- end {name} -->"
    if begin not in page or end not in page:
        raise SystemExit(f"The page has no section {begin} … {end}; write these two lines where it belongs.")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", page)
