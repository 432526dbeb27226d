"""`tri demo [quickstart|cluster]`: five local hosts with faults and a verdict, or a cluster of agents at work."""

from __future__ import annotations

import click

from ..choices import Named
from ..options import hosts_option, take_over_option


@click.command("demo")
@click.argument("what", type=Named("demonstration", ("quickstart", "cluster")), default="quickstart")
@hosts_option("The hosts to use; default: local ones.")
@take_over_option
@click.pass_context
def command(ctx: click.Context, what: str, hosts: str | None, take_over: bool) -> int:
    """Run a demonstration. `quickstart` is the campaign of that name: a checked history and a report.

    `cluster`: a cluster finds itself, routes 20 tasks by latency, loses a node, gets it back, and evens out its load.

    Exit code: that of `tri run`; of `cluster` 0 when all of it happened, 1 when a step did not, 4 environment.
    """
    if what == "cluster":
        from .cluster import demonstrate_on

        return demonstrate_on(hosts, take_over)
    from ..runs.run import command as run

    words = ["quickstart", *(["--hosts", hosts] if hosts else []), *(["--take-over"] if take_over else [])]
    code: int = run.main(words, prog_name="tri run", standalone_mode=False)
    return code
