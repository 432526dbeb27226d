"""`tri doctor`: what these hosts can do, found out by doing it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.table import Table

from .console import out, say
from .options import hosts_option

if TYPE_CHECKING:
    from ..hosts.base import Host, Provider
    from ..hosts.chosen import Chosen
    from ..hosts.probe import Examine, ProbeResult
    from ..hosts.qemu import QemuProvider
    from ..hosts.vagrant import VagrantProvider
    from ..nemesis.abilities import Able


@click.command("doctor")
@hosts_option("Which hosts to try.", default="local")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(hosts: str, as_json: bool) -> int:
    """Try everything a campaign may need, faults one by one, and name what to install. Exit code 4 when something required is missing."""
    from ..hosts.chosen import chosen

    choice = chosen(hosts)
    say(f"trying what {hosts} hosts can do")
    faults: list[Able] = []

    def examine(provider: Provider, up: Sequence[Host]) -> None:
        from ..nemesis.abilities import survey

        faults.extend(survey(provider, up))

    results = _try_all(choice, examine)
    missing = [result for result in results if result.required and not result.ok]
    if as_json:
        told = {"probes": [asdict(result) for result in results], "faults": [asdict(able) for able in faults]}
        out.print_json(json.dumps({"ok": not missing, **told}))
    else:
        _print(results, faults)
    return 4 if missing else 0


def _try_all(choice: Chosen, examine: Examine) -> list[ProbeResult]:
    """Machines that a provider makes are looked at by their inventory, and asked for what that provider can do besides."""
    from ..hosts.probe import run_doctor

    if choice.provider in ("local", "ssh"):
        return run_doctor(choice.provider, inventory=choice.inventory, examine=examine)
    with machines_of(choice) as made:
        return run_doctor("ssh", inventory=made.inventory, examine=lambda _, hosts: examine(made, hosts))


@contextmanager
def machines_of(choice: Chosen) -> Iterator[QemuProvider | VagrantProvider]:
    """Up while the block runs: Vagrant's that there are; the emulated ones of the lab `default`, or else one for the occasion."""
    from ..hosts.qemu import QemuProvider, list_machine_labs
    from ..hosts.vagrant import VagrantProvider

    made: QemuProvider | VagrantProvider
    if choice.provider == "vagrant":
        made = VagrantProvider()
    elif any(lab.name == "default" and lab.alive for lab in list_machine_labs()):
        made = QemuProvider.find().borrowed()
    else:
        made = QemuProvider(1, f"doctor-{os.getpid()}")
    try:
        made.up()
        yield made
    finally:
        made.down()


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
