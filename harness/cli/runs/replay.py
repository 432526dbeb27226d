"""`tri replay RUN|HISTORY`: repeat a recording, and report how exactly it was repeated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..choices import Named
from ..choices import flaws as flaw_names
from ..console import Progress, marked, out
from ..options import PathType, jobs_option, json_option, renamed_option, runs_option, time_option, trust_option

EXIT_EQUAL, EXIT_DIFFERS, EXIT_UNKNOWN = 0, 1, 3
_COLOURS = {
    "equal": "green",
    "differs": "red",
    "another core": "yellow",
    "unknown core": "yellow",
    "another simulator": "yellow",
    "unknown simulator": "yellow",
    "tier A": "bold",
    "tier B": "bold",
    "tier C": "bold",
    "failure": "red",
    "nearest passing plan": "bold",
    "rate of failures when everything before a moment is kept and everything after it is drawn again": "bold",
    "biggest jump": "bold",
}


@click.command("replay")
@click.argument("target", type=PathType())
@click.option(
    "--tier",
    type=Named("tier", ("a", "b", "c")),
    help="a: each node by itself; b: the cluster; c: a search. By default the most exact one that the recording allows.",
)
@click.option("--tries", type=click.IntRange(min=1), default=100, show_default=True, help="Tier c: seeds to try.")
@time_option("Tier c: stop after this time, e.g. 60s.")
@jobs_option
@click.option(
    "--failure",
    "failure",
    metavar="CHECKER/KIND",
    help="Tier c, own systems: the failure to look for; by default the first one.",
)
@click.option(
    "--flaw",
    "flaws",
    type=Named("flaw", flaw_names),
    multiple=True,
    help="Tier c: plant this flaw in the simulated cluster.",
)
@click.option("--ledger", type=PathType(exists=True, dir_okay=False), help="Tier c: a history's faults.")
@click.option(
    "--repeat",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="Own systems: how often to run the plan.",
)
@renamed_option("--keep", "--save")
@click.option("--save", "keep", is_flag=True, help="Keep the replay of a simulated run as a run folder.")
@runs_option("The folder for kept replays, and for the first run that tier c finds.")
@trust_option
@json_option
def command(
    target: Path, tier: str | None, repeat: int, keep: bool, runs: Path, as_json: bool, **searching: Any
) -> int:
    """Replay TARGET, a run's folder or a history file.

    A simulated run is repeated from its plan. For a run on hosts, each node's core gets its recorded inputs again (tier A), and
    then all cores run together, each with the messages that the others send (tier B). If there are only a history and faults, or with `--tier c`, the same
    operations and faults are tried in the simulator with many seeds, to find the same failure. The plan of a system of your own is repeated
    on hosts, `--repeat` times, and the runs that fail in the same way are counted.

    Exit code: 0 the run was repeated, 1 something differs, 2 wrong usage, 3 no conclusion, 4 no run on hosts reached a verdict.
    """
    from ...errors import CampaignError
    from ...failures.folder import is_own, is_simulated, read_plan, recordings

    if not target.exists():
        raise CampaignError(f"{target}: no such file or folder", hint="`tri list runs` shows runs")
    recorded = target.is_dir() and bool(recordings(target))
    if target.is_dir() and tier is None and not recorded and is_simulated(read_plan(target)):
        return _simulated(target, keep, runs, as_json)
    if target.is_dir() and tier is None and not recorded and is_own(read_plan(target)):
        from .repeating import replayed

        return replayed(target, repeat, searching["failure"], runs, as_json)
    if tier == "c" or (tier is None and not recorded):
        return _searched(target, runs, as_json, searching)
    if recorded:
        return _recorded(target, tier, as_json)
    raise CampaignError(
        f"{target} has no recorded inputs of nodes (inputs/<node>/events-*.log)",
        hint="only the reference cluster on hosts records them; --tier c needs only a history",
    )


def _searched(target: Path, runs: Path, as_json: bool, searching: dict[str, Any]) -> int:
    from ...replay.describe import describe_tries
    from ...replay.runs.reproduce import Asked, reproduce

    with Progress() as progress:
        found = reproduce(target, Asked(**searching, runs=runs), progress.show)
    if as_json:
        out.print_json(json.dumps({"run": str(target), "tier_c": found.to_json()}, default=str))
    else:
        print_lines([*describe_tries(found.tries), *([f"run: {found.kept}"] if found.kept else [])])
    return EXIT_EQUAL if found.kept else EXIT_UNKNOWN


def _simulated(target: Path, keep: bool, runs: Path, as_json: bool) -> int:
    from ...failures.folder import recorded_verdict
    from ...replay.describe import describe_simulated
    from ...replay.runs.simulated import replay_simulated

    with Progress() as progress:
        progress.show("replay", "running the plan again, in the simulator")
        replay = replay_simulated(target)
        kept = _keep(target, runs, progress) if keep else None
    if as_json:
        out.print_json(json.dumps({**replay.to_json(), "run": str(target), "kept": kept}, default=str))
    else:
        print_lines([*describe_simulated(replay, recorded_verdict(target)), *([f"run: {kept}"] if kept else [])])
    if replay.equal:
        return EXIT_EQUAL
    return EXIT_DIFFERS if replay.same_sources else EXIT_UNKNOWN


def _keep(target: Path, runs: Path, progress: Progress) -> str:
    """Run the plan again and write a run folder. Return its name."""
    from ...campaign.load import load_recorded
    from ...failures.folder import read_plan
    from ...plugins.trust import repeat_by
    from ...run.settings import Settings, open_run_folder
    from ...run.simulated import write_run

    campaign, plan = load_recorded(target / "campaign.yaml"), read_plan(target)
    settings = Settings(repeat_by(["tri", "replay", target, "--save"], plan.options), target, runs, progress.show)
    run_dir = open_run_folder(campaign, plan, settings)
    write_run(campaign, plan, settings, run_dir)
    return str(run_dir)


def _recorded(target: Path, tier: str | None, as_json: bool) -> int:
    """Run tier A, then tier B. The cluster is not replayed if a single node already differs."""
    from tribulation.histories.files.store import read_traces
    from tribulation.node.core_source import fingerprint

    from ...replay.describe import describe_cluster, describe_nodes, describe_sources
    from ...replay.nodes.cluster import replay_cluster
    from ...replay.nodes.nodes import read_incarnations, replay_nodes

    with Progress() as progress:
        progress.show("read", "the recorded inputs")
        lives = read_incarnations(target)
        cores = {life.recording.header.get("core") for life in lives if life.recording.header}
        progress.show("tier A", f"{sum(len(life.recording.steps) for life in lives)} steps, node by node")
        nodes = replay_nodes(lives, read_traces(target)) if tier != "b" else []
        alike = all(node.difference is None for node in nodes)
        if tier != "a" and alike:
            progress.show("tier B", "all nodes together")
        cluster = replay_cluster(lives) if tier != "a" and alike else None
    if as_json:
        document = {
            "run": str(target),
            "core": {"recorded": sorted(core or "" for core in cores), "replayed": fingerprint()},
            "tier_a": [node.to_json() for node in nodes],
            "tier_b": cluster.to_json() if cluster is not None else None,
        }
        out.print_json(json.dumps(document, default=str))
    else:
        print_lines(describe_sources("core", cores, fingerprint()))
        print_lines(describe_nodes(nodes) if nodes else [])
        print_lines(describe_cluster(cluster) if cluster is not None else [])
    if alike and (cluster is None or cluster.exact):
        return EXIT_EQUAL
    return EXIT_DIFFERS if cores == {fingerprint()} else EXIT_UNKNOWN


def print_lines(lines: Sequence[str]) -> None:
    """Print each line. The words before its first colon have the colour that `_COLOURS` gives them."""
    for line in lines:
        head, colon, rest = line.partition(":")
        colour = _COLOURS.get(head)
        out.print(line if colour is None else marked("[{}]{}{}[/]{}", colour, head, colon, rest))
