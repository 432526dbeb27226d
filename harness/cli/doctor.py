"""`tri doctor`: what these hosts can do, found out by doing it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.table import Table

from .console import out, say

if TYPE_CHECKING:
    from ..hosts.base import Host, Provider
    from ..hosts.probe import ProbeResult
    from ..nemesis.abilities import Able


@click.command("doctor")
@click.option("--hosts", default="local", show_default=True, metavar="local|INVENTORY", help="Which hosts to try.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(hosts: str, as_json: bool) -> int:
    """Try everything a campaign may need, faults one by one, and name what to install. Exit code 4 when something required is missing."""
    from ..errors import CampaignError
    from ..hosts.probe import run_doctor

    if hosts != "local" and not Path(hosts).is_file():
        raise CampaignError(
            f"--hosts {hosts!r} is neither local nor an inventory file", hint="sim needs nothing but Python"
        )
    say(f"trying what {hosts} hosts can do")
    faults: list[Able] = []

    def examine(provider: Provider, up: Sequence[Host]) -> None:
        from ..nemesis.abilities import survey

        faults.extend(survey(provider, up))

    inventory = None if hosts == "local" else hosts
    results = run_doctor("local" if inventory is None else "ssh", inventory=inventory, examine=examine)
    missing = [result for result in results if result.required and not result.ok]
    if as_json:
        told = {"probes": [asdict(result) for result in results], "faults": [asdict(able) for able in faults]}
        out.print_json(json.dumps({"ok": not missing, **told}))
    else:
        _print(results, faults)
    return 4 if missing else 0


def _print(results: Sequence[ProbeResult], faults: Sequence[Able]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("probe", "host", "", "detail"):
        table.add_column(heading, overflow="fold")
    for result in results:
        _add(table, result.probe, result, "[red]missing[/]" if result.required else "[yellow]not here[/]")
    for able in faults:
        _add(table, f"fault {able.ability}", able, "[yellow]not here[/]")
    out.print(table)


def _add(table: Table, name: str, row: ProbeResult | Able, otherwise: str) -> None:
    detail = row.detail if row.ok or not row.hint else f"{row.detail} — {row.hint}"
    table.add_row(name, row.host, "[green]ok[/]" if row.ok else otherwise, escape(detail))
