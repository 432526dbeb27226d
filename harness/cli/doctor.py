"""`tri doctor`: what these hosts can do, found out by doing it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from .console import out, say


@click.command("doctor")
@click.option("--hosts", default="local", show_default=True, metavar="local|INVENTORY", help="Which hosts to try.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(hosts: str, as_json: bool) -> int:
    """Try everything a campaign may need, and name what to install. Exit code 4 when something required is missing."""
    from ..errors import CampaignError
    from ..hosts.probe import run_doctor

    if hosts != "local" and not Path(hosts).is_file():
        raise CampaignError(
            f"--hosts {hosts!r} is neither local nor an inventory file", hint="sim needs nothing but Python"
        )
    say(f"trying what {hosts} hosts can do")
    results = run_doctor("local") if hosts == "local" else run_doctor("ssh", inventory=hosts)
    missing = [result for result in results if result.required and not result.ok]
    if as_json:
        out.print_json(json.dumps({"ok": not missing, "probes": [asdict(result) for result in results]}))
        return 4 if missing else 0
    table = Table(box=None, pad_edge=False)
    for heading in ("probe", "host", "", "detail"):
        table.add_column(heading, overflow="fold")
    for result in results:
        mark = "[green]ok[/]" if result.ok else "[red]missing[/]" if result.required else "[yellow]not here[/]"
        table.add_row(
            result.probe,
            result.host,
            mark,
            result.detail if result.ok or not result.hint else f"{result.detail} — {result.hint}",
        )
    out.print(table)
    return 4 if missing else 0
