"""`tri doctor`: tries what hosts can do, and reports it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from ..console import marked, out, say
from ..options import CampaignType, hosts_option

if TYPE_CHECKING:
    from ...hosts.base import Host, Provider
    from ...hosts.qemu import QemuProvider
    from ...hosts.selection.chosen import Chosen
    from ...hosts.selection.probe import Examine, ProbeResult
    from ...hosts.ssh.vagrant import VagrantProvider
    from ...nemesis.schedule.abilities import Able


@click.command("doctor")
@click.argument("campaign", required=False, type=CampaignType(exists=True))
@hosts_option("The hosts to test.", default="local")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(campaign: Path | None, hosts: str, as_json: bool) -> int:
    """Test the hosts, and try each fault on each of them: all faults, or only those that CAMPAIGN needs. Reports what to install.

    Exit code: 0 nothing required is missing, 4 something is missing that every campaign needs, or that CAMPAIGN needs.
    """
    from ...hosts.selection.chosen import chosen

    choice = chosen(hosts)
    wanted = None if campaign is None else _needs(campaign, hosts)
    say(f"testing what {hosts} hosts support")
    faults: list[Able] = []
    tried: list[str] = []

    def examine(provider: Provider, up: Sequence[Host]) -> None:
        from ...nemesis.schedule.abilities import survey

        tried.extend(host.name for host in up)
        faults.extend(survey(provider, up) if wanted is None else survey(provider, up, wanted))

    results = _try_all(choice, examine)
    good = all(row.ok for row in results if row.required) and (wanted is None or all(able.ok for able in faults))
    if as_json:
        document = {"probes": [asdict(result) for result in results], "faults": [asdict(able) for able in faults]}
        out.print_json(json.dumps({"ok": good, **document}))
    else:
        _print(results, faults, tried)
    return 0 if good else 4


def _try_all(choice: Chosen, examine: Examine) -> list[ProbeResult]:
    """Test the hosts. Emulated machines and those of Vagrant are tested through their inventory, and their provider is asked what else it can do."""
    from ...hosts.selection.probe import run_doctor

    if choice.provider in ("local", "ssh"):
        return run_doctor(choice.provider, inventory=choice.inventory, examine=examine)
    with machines_of(choice) as made:
        return run_doctor("ssh", inventory=made.inventory, examine=lambda _, hosts: examine(made, hosts))


@contextmanager
def machines_of(choice: Chosen) -> Iterator[QemuProvider | VagrantProvider]:
    """Yield machines that are up while the block runs: Vagrant's existing ones; or the emulated ones of the lab `default`, or else a new one."""
    from ...hosts.qemu import QemuProvider, list_machine_labs
    from ...hosts.ssh.vagrant import VagrantProvider

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


def _needs(campaign: Path, hosts: str) -> frozenset[str]:
    """Return the abilities that the campaign's faults need of hosts; composed faults are included."""
    from ...campaign.load import load_campaign
    from ...run.plan.requirements import Requirements

    asked = Requirements.of(load_campaign(campaign, [], hosts))
    return asked.needs() | asked.composed_of()


def _print(results: Sequence[ProbeResult], faults: Sequence[Able], tried: Sequence[str]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("probe", "host", "", "detail"):
        table.add_column(heading, overflow="fold")
    for result in results:
        mark = (
            marked("[green]ok[/]")
            if result.ok
            else marked("[red]missing[/]")
            if result.required
            else marked("[yellow]not here[/]")
        )
        table.add_row(result.probe, result.host, mark, _detail(result))
    out.print(table)
    if faults and tried:
        out.print()
        _print_faults(faults, tried)


def _print_faults(faults: Sequence[Able], hosts: Sequence[str]) -> None:
    """Print a table of faults by hosts, and below it each reason once for what does not work."""
    from ...nemesis.schedule.abilities import ALL

    table = Table(box=None, pad_edge=False)
    for heading in ("fault", *hosts):
        table.add_column(heading, overflow="fold")
    for name in dict.fromkeys(able.ability for able in faults):
        by_host = {able.host: able for able in faults if able.ability == name}
        table.add_row(name, *(_cell(by_host.get(host) or by_host[ALL]) for host in hosts))
    out.print(table)
    for why, where in _reasons(faults).items():
        out.print(f"{', '.join(where)}: {why}", markup=False, highlight=False, soft_wrap=True)


def _cell(able: Able) -> Text:
    return marked("[green]works[/]") if able.ok else marked("[yellow]not here[/]")


def _reasons(faults: Iterable[Able]) -> dict[str, list[str]]:
    from ...nemesis.schedule.abilities import ALL

    reasons: dict[str, list[str]] = {}
    for able in faults:
        if not able.ok:
            where = able.ability if able.host == ALL else f"{able.ability} on {able.host}"
            reasons.setdefault(_detail(able), []).append(where)
    return reasons


def _detail(row: ProbeResult | Able) -> str:
    return row.detail if row.ok or not row.hint else f"{row.detail} — {row.hint}"
