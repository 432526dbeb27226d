"""`tri list WHAT`: names that a user can choose, and recorded runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import click
from click.core import ParameterSource

from ...errors import CampaignError
from ..choices import Named
from ..document import print_document
from ..options import json_option, runs_option

VERDICTS = ("valid", "invalid", "unknown")

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
    return ((row["name"], row["about"]) for row in recorded_runs(Path("runs")))


def recorded_runs(
    folder: Path, campaign: str | None = None, verdict: str | None = None, last: int | None = None
) -> list[dict[str, Any]]:
    """Return the runs in `folder`, oldest first: only of this campaign, only with this verdict, and only the `last` of those. None: no such limit."""
    from ...evidence.documents import DocumentError, read_document

    found = []
    runs = {path.parent for name in ("verdict.json", "run.json") for path in folder.glob(f"*/2*/{name}")}
    for path in (run / "verdict.json" for run in sorted(runs, key=lambda run: (run.name, run.parent.name))):
        if campaign is not None and path.parent.parent.name != campaign:
            continue
        try:
            document = read_document(path)
            if wrong := _damage_of_facts(path.parent):
                document = {"damaged": wrong}
        except FileNotFoundError:
            document = {"damaged": "verdict.json: there is none: the run is not over, or was interrupted"}
        except (OSError, DocumentError) as error:
            document = {"damaged": f"verdict.json: {error}"}
        if verdict is None or document.get("verdict") == verdict:
            found.append(_run_row(path.parent, document))
    return found if last is None else found[-last:]


def _damage_of_facts(run: Path) -> str | None:
    """Describe what is wrong with run.json, or return None. If it is damaged, an earlier verdict of the folder does not count."""
    from ...evidence.seal import RUN_FILE
    from ...run.outcome.run_folder import read_facts

    try:
        gaps = read_facts(run).gaps
    except CampaignError as error:
        return error.message
    return next((f"{RUN_FILE} {gap['why']}" for gap in gaps if gap["name"] == RUN_FILE), None)


def _run_row(run: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    found = document.get("faults")
    faults = [fault for fault in found if isinstance(fault, dict)] if isinstance(found, list) else []
    damaged = {"damaged": document["damaged"]} if document.keys() == {"damaged"} else {}
    about = f"{document.get('verdict')} · seed {document.get('seed')}"
    return {
        "name": str(run),
        "about": f"no verdict: {document['damaged']}; `tri check` checks it" if damaged else about,
        **damaged,
        "campaign": document.get("campaign"),
        "seed": document.get("seed"),
        "verdict": document.get("verdict"),
        "expected": document.get("expected"),
        "ops": document.get("ops", {}),
        "faults": len(faults),
        "faults_verified": sum(1 for fault in faults if fault.get("verified")),
    }


class NamedRow(TypedDict):
    name: str
    about: str


class RunRow(NamedRow):
    """A recorded run. `damaged`: why it has no usable verdict; the fields after it are then null, empty or 0."""

    damaged: NotRequired[str]
    campaign: str | None
    seed: int | None
    verdict: str | None
    expected: bool | None
    ops: dict[str, int]
    faults: int
    faults_verified: int


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
@click.argument("what", type=Named("list", list(LISTS)), metavar="|".join(LISTS))
@click.option("--campaign", metavar="NAME", help="Runs: only those of this campaign.")
@click.option("--verdict", type=Named("verdict", VERDICTS), help="Runs: only those with this verdict.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Runs: only the last N of them.")
@runs_option("Where run folders are.")
@json_option
def command(what: str, campaign: str | None, verdict: str | None, last: int | None, runs: Path, as_json: bool) -> None:
    """List WHAT: campaigns, workloads, systems, faults, checkers, flaws or runs."""
    if what == "runs":
        if (
            click.get_current_context().get_parameter_source("runs") is not ParameterSource.DEFAULT
            and not runs.is_dir()
        ):
            raise CampaignError(f"{runs}: no such folder", hint="name the folder that was used with `tri run --runs`")
        documents = recorded_runs(runs, campaign, verdict, last)
    else:
        if given := [
            f"--{name}" for name, value in (("campaign", campaign), ("verdict", verdict), ("last", last)) if value
        ]:
            raise CampaignError(f"{given[0]} filters runs, not {what}", hint="tri list runs --verdict invalid")
        documents = [{"name": name, "about": about} for name, about in LISTS[what]()]
    if as_json:
        print_document(documents)
        return
    width = max((len(row["name"]) for row in documents), default=0)
    for row in documents:
        click.echo(f"{row['name']:<{width}}  {row['about']}")
