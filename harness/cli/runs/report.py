"""`tri report RUN`: writes the page of a run again from its folder."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from ..console import out
from ..options import PathType


@click.command("report")
@click.argument("run", type=PathType(exists=True, file_okay=False))
@click.option("--costs", is_flag=True, help="Print a table of what each fault cost, and write no page.")
def command(run: Path, costs: bool) -> None:
    """Write report.html into RUN, a run's folder; one page that opens without a network."""
    from ...report import write_report

    if costs:
        _print_costs(run)
    else:
        out.print(str(write_report(run)))


def _print_costs(folder: Path) -> None:
    """Print for each fault and each place of clients a line for each of `PARTS`."""
    from ...report.costs import PARTS
    from ...report.load import load_run
    from ...report.model import build

    table = Table(box=None, pad_edge=False)
    for heading in ("clients", "when"):
        table.add_column(heading)
    for heading in ("ok/s", "info/s", "fail/s", "p50", "p99", "without ok"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in build(load_run(folder)).costs:
        if row.fault:
            table.add_section()
            table.add_row(Text(row.fault, style="bold"))
        for part, span in zip(PARTS, row.spans, strict=True):
            first = part == PARTS[0]
            table.add_row(row.place if first else "", part, *span, row.silent if part == "during" else "")
    out.print(table)
