"""`tri list WHAT`: what there is to choose from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from rich.table import Table

from ..console import out

Row = tuple[str, str]


def _campaigns() -> Iterable[Row]:
    from ...campaign.load import load_campaign
    from ...campaign.packaged import FOLDER, name_of, names, path_of

    own = Path("campaigns")
    paths = [] if own.exists() and own.samefile(FOLDER) else sorted(own.rglob("*.yaml"))
    for path in [*filter(None, map(path_of, names())), *paths]:
        yield name_of(path), load_campaign(path).description.strip().split("\n")[0]


def _workloads() -> Iterable[Row]:
    from ...plugins.loading import load_installed
    from ...workloads import WORKLOADS

    load_installed()
    for name, (spec, _) in WORKLOADS.items():
        yield name, (spec.__doc__ or "").strip().split("\n")[0]


def _faults() -> Iterable[Row]:
    from ...nemesis.specs import specs

    for name, spec in specs.SPECS.items():
        yield name, (spec.__doc__ or "").strip().split("\n")[0]


def _checkers() -> Iterable[Row]:
    from tribulation.checkers.registry import CHECKERS, about

    from ...plugins.loading import load_installed

    load_installed()
    for name in CHECKERS:
        yield name, about(name).split("\n")[0]


def _systems() -> Iterable[Row]:
    from ...plugins.loading import installed_systems

    yield "reference", "The cluster that comes with Tribulation."
    yield from ((name, f"installed by {owner}") for name, owner in installed_systems().items())


def _flaws() -> Iterable[Row]:
    from tribulation.node.flaws.switch import FLAWS

    for name, flaw in FLAWS.items():
        yield name, flaw.title


def _runs() -> Iterable[Row]:
    from ...evidence.documents import required_document

    for path in sorted(Path("runs").glob("*/2*/verdict.json")):
        verdict = required_document(path, f"tri check {path.parent} writes it again")
        yield str(path.parent), f"{verdict.get('verdict')} · seed {verdict.get('seed')}"


LISTS: dict[str, Callable[[], Iterable[Row]]] = {
    "campaigns": _campaigns,
    "workloads": _workloads,
    "systems": _systems,
    "faults": _faults,
    "checkers": _checkers,
    "flaws": _flaws,
    "runs": _runs,
}


@click.command("list")
@click.argument("what", type=click.Choice(list(LISTS)))
@click.option("--json", "as_json", is_flag=True, help="Print the list as one JSON document.")
def command(what: str, as_json: bool) -> None:
    """List WHAT: campaigns, workloads, systems, faults, checkers, flaws or runs."""
    rows = list(LISTS[what]())
    if as_json:
        out.print_json(json.dumps([{"name": name, "about": about} for name, about in rows]))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, about in rows:
        table.add_row(name, about)
    out.print(table)
