"""`tri explain RUN`: why a simulated run fails, shown by similar runs that pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..console import Progress, out, say
from ..options import PathType, jobs_option, json_option, time_option, trust_option
from .replay import print_lines


@click.command("explain")
@click.argument("run", type=PathType(file_okay=False))
@click.option("--failure", metavar="CHECKER/KIND", help="The failure to explain; by default the first one.")
@click.option(
    "--tries", type=click.IntRange(min=0), default=200, show_default=True, help="The most similar plans to try."
)
@click.option(
    "--salts", type=click.IntRange(min=1), default=20, show_default=True, help="Runs for each point of the curve."
)
@click.option(
    "--points", type=click.IntRange(min=0), default=9, show_default=True, help="Points of the curve; 0 for none."
)
@time_option("Stop after this time: the similar plans after half of it.", default="300s")
@jobs_option
@trust_option
@json_option
def command(run: Path, as_json: bool, **asked: Any) -> int:
    """Explain the failure of RUN, the folder of a simulated run.

    Prints the nearest plan that passes, the place where the two runs diverge, the operations with different answers, and the time since which the failure was likely.

    Exit code: 0 explained, 2 usage, 3 no similar plan passes, or the time ended first.
    """
    from ...errors import CampaignError
    from ...failures.allowance import SpentError
    from ...replay.explain.describe_explanation import describe_explained
    from ...replay.explain.explained import Asked, explain

    if not run.exists():
        raise CampaignError(f"{run}: no such folder", hint="`tri list runs` shows runs")
    try:
        with Progress() as progress:
            explained = explain(run, Asked(**asked), progress.show)
    except SpentError:
        say(f"unknown: the time ended before {run} had failed again\nhint: --time 10m")
        return 3
    if as_json:
        out.print_json(json.dumps({"run": str(run), **explained.to_json()}, default=str))
    else:
        print_lines(describe_explained(explained))
    return 0 if explained.neighbour.change is not None else 3
