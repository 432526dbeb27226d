"""`tri cluster-bench`: runs the 24 scenarios of the cluster with real node processes, and compares what was measured with what is promised."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..console import Progress, out
from ..options import PathType, hosts_option, json_option, take_over_option


@click.command("cluster-bench")
@click.option("--only", metavar="N,M", help="Only these scenarios, e.g. 1,4,12-15.")
@hosts_option("The hosts to use; default: a new local lab.")
@click.option(
    "--logs",
    type=PathType(file_okay=False),
    help="A folder for the logs and traces of failed scenarios.",
)
@take_over_option
@json_option
def command(only: str | None, hosts: str | None, logs: Path | None, take_over: bool, as_json: bool) -> int:
    """Run the scenarios of the cluster, and report what was measured.

    Exit code: 0 all passed, 1 one failed, 4 none failed but one could not be measured.
    """
    from ...cluster import bench
    from ...cluster.lab import lab
    from ...cluster.scenarios import SCENARIOS
    from ...cluster.table import results_table, summary

    scenarios = bench.chosen(only, SCENARIOS)
    results = []
    needed = bench.hosts_needed(scenarios)
    with Progress() as progress:
        progress.show("hosts", hosts or f"{needed} local ones")
        with lab(needed, hosts, "bench", take_over=take_over) as where:
            for result in bench.run(scenarios, where, progress.show, logs):
                progress.show("measured", f"{result.scenario.number}: {_word(result.passed)}, {result.measured}")
                results.append(result)
    if as_json:
        out.print_json(json.dumps(bench.document(results)))
    else:
        out.print(results_table(results))
        out.print(summary(results))
    return bench.exit_code(results)


def _word(passed: bool | None) -> str:
    return {True: "ok", False: "failed", None: "not measured"}[passed]
