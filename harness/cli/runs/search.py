"""`tri search CAMPAIGN`: tries many seeds in the simulator. Failures are grouped by kind, and a run folder is kept for each kind."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence, Sized
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from ..choices import Named
from ..choices import flaws as flaw_names
from ..console import Progress, marked, out, say
from ..options import (
    CampaignType,
    DurationType,
    PathType,
    jobs_option,
    json_option,
    renamed_option,
    runs_option,
    set_option,
)

if TYPE_CHECKING:
    from ...failures.pool import DaskWorkers, LocalWorkers
    from ...search.engine import Findings, Search
    from ...search.keep import Kept

EXIT_NOTHING, EXIT_FOUND, EXIT_UNKNOWN, EXIT_INTERRUPTED = 0, 1, 3, 130
SEEDS = 200
MOST_SEEDS = 1_000_000_000
LAST_FIRST = 1_000_000_000_000
"""The largest first seed. `make fuzz` uses the time of the clock as the first seed."""
SHOWN_GROUPS = 3
"""The most kinds of failure in the line of progress."""
SHOWN = 20
"""The most kinds of failure in the table; `--json` has all."""


@click.command("search")
@click.argument("campaign", required=False, type=CampaignType())
@click.option(
    "--seeds",
    type=click.IntRange(min=1, max=MOST_SEEDS),
    help=f"How many seeds.  [default: {SEEDS}, or as many as --cpu-time allows]",
)
@click.option(
    "--first", type=click.IntRange(min=0, max=LAST_FIRST), default=1, show_default=True, help="The first seed."
)
@renamed_option("--time", "--cpu-time", has_value=True)
@click.option(
    "--cpu-time",
    "time_s",
    type=DurationType(),
    help="Start no trial after this much CPU time in each process, e.g. 60s.",
)
@click.option(
    "--until-found",
    is_flag=True,
    help="Start no trial after the first failure; with --all-flaws, no further trial of a flaw that was found.",
)
@jobs_option
@click.option("--dask", metavar="ADDRESS", help="Use the workers of this Dask cluster instead.")
@click.option(
    "--no-swarm",
    is_flag=True,
    help="Draw nothing: use the campaign's load, faults and simulation parameters as written.",
)
@click.option("--orders", is_flag=True, help="Also draw the order of steps that are due at nearly the same time.")
@set_option
@renamed_option("--keep", "--folders", has_value=True)
@click.option(
    "--folders", "keep", type=click.IntRange(min=0), default=10, show_default=True, help="The most run folders to keep."
)
@runs_option()
@renamed_option("--zoo", "--all-flaws")
@click.option(
    "--all-flaws",
    is_flag=True,
    help="Instead of a campaign: count in how many seeds each planted flaw is found.",
)
@click.option(
    "--flaw",
    "flaws",
    type=Named("flaw", flaw_names),
    multiple=True,
    help="Plant this flaw; without CAMPAIGN, use the campaign that shows it; with --all-flaws, search only this flaw; can be repeated.",
)
@click.option(
    "--state",
    type=PathType(dir_okay=False),
    help="With --all-flaws: keep the state in this file, and resume from it.",
)
@json_option
def command(campaign: Path | None, all_flaws: bool, flaws: tuple[str, ...], state: Path | None, **options: Any) -> int:
    """Try CAMPAIGN with many seeds in the simulator, and report what fails and how often.

    Each seed draws simulation parameters, settings of the node, the load and the faults, including those of the campaign.

    Exit code: 0 nothing failed, 1 a trial failed, 2 wrong usage, 3 no trial was decided or some did not end.
    """
    from ...errors import CampaignError

    if all_flaws:
        if campaign is not None:
            raise CampaignError(f"--all-flaws has its own plans; {campaign} is not used", hint="remove the campaign")
        from ...search.zoo.zoo import zoo_command

        asked = {name: options[name] for name in ("seeds", "jobs", "as_json", "until_found")}
        return zoo_command(flaws=flaws, state=state, **asked)
    if state is not None:
        raise CampaignError("--state belongs to --all-flaws", hint="a search of a campaign keeps no state")
    if flaws:
        campaign = campaign or _campaign_of(flaws)
        options["overrides"] = (*options["overrides"], f"system.flaws=[{', '.join(flaws)}]")
    if campaign is None:
        raise CampaignError(
            "missing CAMPAIGN (or --flaw, or --all-flaws)", hint="tri search quickstart, or tri search --all-flaws"
        )
    return _search(campaign, options)


def _campaign_of(flaws: Sequence[str]) -> Path:
    """The flaw's own campaign, or the general campaign for searching flaws."""
    from ...search.zoo.hunt import CAMPAIGNS, HUNT

    own = CAMPAIGNS / f"{flaws[0]}.yaml"
    return own if len(flaws) == 1 and own.is_file() else HUNT


def _search(campaign: Path, options: Mapping[str, Any]) -> int:
    from ...search.document import described_options, document
    from ...search.engine import Findings
    from ...search.keep import keep_failures

    wanted = _wanted(campaign, options)
    repeat = _repeat_command(campaign, options)
    for line in described_options(wanted):
        say(line)
    say(f"seeds      {_seeds_text(options)} · repeat with: {repeat}")
    findings, began_s = Findings(), time.monotonic()
    with Progress() as progress:
        interrupted = _run(wanted, options, findings, progress)
        wall_s = time.monotonic() - began_s
        kept = keep_failures(findings, wanted, _settings(campaign, options, progress), options["keep"])
    found = document(findings, kept, wall_s, interrupted, repeat)
    _write_page(found, wanted.campaign.name, options["runs"])
    if options["as_json"]:
        out.print_json(json.dumps(found, default=str))
    else:
        print_found(found)
    _complain_of_differences(kept)
    if interrupted:
        return EXIT_INTERRUPTED
    if findings.groups:
        return EXIT_FOUND
    return EXIT_UNKNOWN if findings.unended or not findings.verdicts["valid"] else EXIT_NOTHING


def _write_page(found: Mapping[str, Any], campaign: str, runs: Path) -> None:
    """Write the failures as a page to the folder of the campaign's runs. An error of writing is printed as a warning."""
    from ...evidence.writing import RunFolderError
    from ...search.page import write_page

    if not any(one["run"] for one in found["failures"]):
        return
    name = time.strftime("search-%Y%m%dT%H%M%SZ.html", time.gmtime())
    try:
        say(f"page       {write_page(runs / campaign / name, f'Search of {campaign}', found)}")
    except RunFolderError as error:
        say(f"warning: {error}")


def _wanted(campaign: Path, options: Mapping[str, Any]) -> Search:
    """Return the search that the options ask for. Raises `CampaignError` for a campaign that cannot be searched, before any worker is started."""
    from ...campaign.load import load_campaign
    from ...search.draw import searched_plan
    from ...search.engine import Search

    loaded = load_campaign(campaign, options["overrides"], "sim")
    first, seeds = options["first"], options["seeds"]
    if seeds is None and options["time_s"] is None and not options["until_found"]:
        seeds = SEEDS
    numbers: Iterable[int] = count(first) if seeds is None else range(first, first + seeds)
    until = options["until_found"]
    wanted = Search(
        loaded, numbers, not options["no_swarm"], campaign.parent, options["time_s"], until, options["orders"]
    )
    searched_plan(loaded, first, wanted.swarm, wanted.directory)
    return wanted


def _run(wanted: Search, options: Mapping[str, Any], findings: Findings, progress: Progress) -> bool:
    """Search to the end; return True if the user ended it, in which case the results so far are kept."""
    from ...search.engine import search

    began_s = time.monotonic()
    try:
        with _workers(options) as workers:
            progress.show("workers", f"{workers.size} are starting")
            for _ in search(workers, wanted, findings):
                progress.show("search", _progress(findings, wanted, workers.size, time.monotonic() - began_s))
    except KeyboardInterrupt:
        say("interrupted: what was found so far is kept and printed")
        return True
    return False


def _workers(options: Mapping[str, Any]) -> LocalWorkers | DaskWorkers:
    from ...failures.pool import DaskWorkers, LocalWorkers, exposure

    if options["dask"] is not None:
        if warning := exposure(options["dask"]):
            say(f"warning: {warning}")
        return DaskWorkers(options["dask"])
    return LocalWorkers(options["jobs"])


def _progress(findings: Findings, wanted: Search, processes: int, wall_s: float) -> str:
    """Return the line of progress: trials, most frequent failures, and the estimated remaining time."""
    seeds = len(wanted.seeds) if isinstance(wanted.seeds, Sized) else None
    done = 0.0 if seeds is None else findings.trials / seeds
    if wanted.time_s is not None:
        done = max(done, findings.cpu_s / (wanted.time_s * processes))
    left = f" · about {wall_s * (1 / done - 1):.0f} s left" if 0 < done < 1 else ""
    failures = "".join(
        f" · {group.count} {group.signature.checker}/{group.signature.kind}"
        for group in findings.in_order()[:SHOWN_GROUPS]
    )
    return (
        f"{findings.trials}{'' if seeds is None else f'/{seeds}'} trials · {findings.failed} failed in {len(findings.groups)} ways"
        f"{failures} · {len(findings.corpus.states)} states · {60 * findings.trials / wall_s:.0f} a minute{left}"
    )


def _settings(campaign: Path, options: Mapping[str, Any], progress: Progress) -> Any:
    from ...run.settings import Settings

    return Settings("", campaign.parent, options["runs"], progress.show)


def _seeds_text(options: Mapping[str, Any]) -> str:
    endless = options["time_s"] is not None or options["until_found"]
    seeds = options["seeds"] or (None if endless else SEEDS)
    number = f"{seeds} from {options['first']}" if seeds else f"from {options['first']}"
    return number + (f", for {options['time_s']:g} s of CPU time a process" if options["time_s"] is not None else "")


def _repeat_command(campaign: Path, options: Mapping[str, Any]) -> str:
    from ...campaign.packaged import name_of

    words = ["tri", "search", name_of(campaign), "--first", str(options["first"])]
    if options["seeds"] is not None:
        words += ["--seeds", str(options["seeds"])]
    if options["time_s"] is not None:
        words += ["--cpu-time", f"{options['time_s']:g}s"]
    if options["until_found"]:
        words.append("--until-found")
    if options["no_swarm"]:
        words.append("--no-swarm")
    if options["orders"]:
        words.append("--orders")
    for override in options["overrides"]:
        words += ["--set", override]
    return shlex.join(words)


def _complain_of_differences(kept: Mapping[int, Kept]) -> None:
    """Print a warning for each kept run that did not repeat its trial. This is a bug in Tribulation."""
    for seed, folder in kept.items():
        if folder.same is False:
            say(f"warning: seed {seed} gave another result when it was repeated for {folder.run_dir}; please report it")


def print_found(found: Mapping[str, Any]) -> None:
    """Print the document for a person."""
    _print_failures(found["failures"])
    _print_sometimes(found["sometimes"], found["trials"])
    verdicts = found["verdicts"]
    counts = " · ".join(
        f"{verdicts[name]} {name}" for name in ("valid", "invalid", "crashed", "unknown") if verdicts.get(name)
    )
    out.print(f"\n{found['trials']} trials ({found['mutants']} mutants): {counts or 'none'}")
    for doubt, number in found["doubts"].items():
        out.print(marked("  [yellow]unknown[/] {}: {}", number, doubt))
    out.print(f"faults  {_faults_text(found['faults'])}") if found["faults"] else None
    if found["unended"]:
        out.print(marked("  [yellow]no end[/] seeds {}", ", ".join(map(str, found["unended"]))))
    cpu = found["cpu_s"]
    whole = cpu["simulate"] + cpu["check"] or 1
    out.print(
        f"{found['operations']} operations, {found['core_events']} events in {found['simulated_s']:g} s of virtual time; {found['states']} states; "
        f"{found['wall_s']:g} s, {found['trials_per_minute']} trials a minute; {whole:.1f} s of CPU, {100 * cpu['check'] / whole:.0f} % of it checking"
    )
    out.print(f"repeat  {found['command']}")


def _faults_text(faults: Mapping[str, Mapping[str, int]]) -> str:
    """Return by kind how many faults took effect, without those that a verified fault hid."""
    shown = {kind: (by["took_effect"], sum(by.values()) - by["masked"]) for kind, by in faults.items()}
    return "took effect: " + " · ".join(f"{kind} {seen} of {tried}" for kind, (seen, tried) in shown.items())


def _print_failures(failures: list[dict[str, Any]]) -> None:
    if not failures:
        out.print(marked("[bold green]nothing failed[/]"))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("failure", overflow="fold")
    for title in ("trials", "first seed", "faults", "operations"):
        table.add_column(title, justify="right", no_wrap=True, min_width=len(title))
    shown = failures[:SHOWN]
    for row in shown:
        seed = f"{row['first_seed']}{'*' if row['mutant'] else ''}"
        figures = (str(row["trials"]), seed, str(row["faults"]), str(row["operations"]))
        table.add_row(marked("[red]{}[/]/{}", row["checker"], row["kind"]), *figures)
    out.print(table)
    if any(row["mutant"] for row in shown):
        out.print(marked("[dim]* a mutant of earlier plans: its run folder has the plan[/]"))
    if len(failures) > len(shown):
        out.print(f"… and {len(failures) - len(shown)} more: --json")
    for seed in dict.fromkeys(row["first_seed"] for row in shown):
        _print_first([row for row in shown if row["first_seed"] == seed])


def _print_first(rows: list[dict[str, Any]]) -> None:
    """Print the kinds of failure that this trial was the first to show, and the command that repeats it."""
    first = rows[0]
    out.print(marked("\n[bold]seed {}[/] {}", first["first_seed"], first["repeat"] or "not kept: --folders"))
    for row in rows:
        out.print(marked("  [red]{}/{}[/] {}", row["checker"], row["kind"], row["explanation"]))


def _print_sometimes(sometimes: Mapping[str, int], trials: int) -> None:
    """Print how many trials reached each interesting state. A state that was never reached is red, because it was not tested."""
    if not sometimes:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("sometimes")
    table.add_column("trials", justify="right")
    for name, number in sorted(sometimes.items(), key=lambda item: (item[1], item[0])):
        colour = "red" if number == 0 else "default"
        table.add_row(marked("[{}]{}[/]", colour, name), marked("[{}]{}[/]", colour, number if number else "never"))
    out.print(table)
