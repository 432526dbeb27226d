"""`tri report RUN`: the page of a run, written again from its folder."""

from __future__ import annotations

from pathlib import Path

import click

from .console import out


@click.command("report")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
def command(run: Path) -> None:
    """Write report.html into RUN, a run's folder; one page that opens without a network."""
    from ..report import write_report

    out.print(str(write_report(run)))
