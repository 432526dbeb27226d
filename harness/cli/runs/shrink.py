"""`tri shrink RUN|HISTORY`: the smallest plan, or the fewest operations, that fail in the same way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from ...user_files.renamed import written
from ..choices import Named, history_formats, models
from ..console import Progress, out, say
from ..options import DurationType, PathType, json_option, renamed_option, runs_option, time_option, trust_option
from ..refusals import refuse_to_replace

if TYPE_CHECKING:
    from ...failures.allowance import Allowance

EXIT_SHRUNK, EXIT_UNKNOWN = 0, 3
DEFAULT_S = 60.0


@click.command("shrink")
@click.argument("target", type=PathType())
@click.option("--failure", metavar="CHECKER/KIND", help="The failure to keep; by default the first one.")
@time_option("Stop after this time; on real hosts by default after 60s.")
@click.option(
    "--cpu-time",
    "cpu_s",
    type=DurationType(),
    help="Stop after this much processor time; 60s by default, if --time is not given either.",
)
@click.option(
    "--tries", type=click.IntRange(min=1), default=3000, show_default=True, help="Stop after this number of runs."
)
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Real hosts: the most runs for each try.",
)
@runs_option()
@renamed_option("--keep", "--add-to-corpus", has_value=True)
@click.option(
    "--add-to-corpus", "keep", metavar="NAME", help="Also keep the shrunk plan in the corpus under this name."
)
@click.option(
    "--corpus",
    type=PathType(file_okay=False),
    default=Path("histories/corpus"),
    show_default=True,
    help="The folder for --add-to-corpus.",
)
@click.option(
    "--format",
    "format_name",
    type=Named("history format", history_formats),
    help="A history's format; detected by default.",
)
@click.option(
    "--model",
    type=Named("model", models),
    help="The kind of the history: register, kv, queue …; inferred by default.",
)
@click.option("--output", type=PathType(dir_okay=False), help="For a history: the file for the smaller one.")
@trust_option
@json_option
def command(target: Path, as_json: bool, **options: Any) -> int:
    """Shrink the failure in TARGET, a run's folder or a history file.

    A run is repeated with smaller and smaller plans. From a bare history, operations that the failure does not need are removed. With a simulated
    run, Ctrl-C ends the search and keeps the result so far.

    Exit code: 0 shrunk as far as possible or as the budget allows, 2 wrong usage or nothing fails, 3 it did not fail again.
    """
    from ...errors import CampaignError
    from ...failures.folder import is_simulated, read_plan

    if not target.exists():
        raise CampaignError(
            f"{target}: no such file or folder",
            hint="give a run's folder or a history file; `tri list runs` shows runs",
        )
    refuse_to_replace(target, output=options["output"])
    target = lasting_name(target)
    if target.is_dir() and is_simulated(read_plan(target)):
        return _simulated(target, as_json, options)
    if target.is_dir():
        return _on_hosts(target, as_json, options)
    return _history(target, as_json, options)


def _simulated(target: Path, as_json: bool, options: Mapping[str, Any]) -> int:
    from ...plugins.trust import repeat_by
    from ...run.settings import Settings
    from ...shrink.corpus import keep
    from ...shrink.folder import choose, read_source, write_shrunk
    from ...shrink.plan import shrink_plan, stability
    from ...shrink.story import document
    from ...shrink.trial import Trials

    with Progress() as progress:
        progress.show("read", str(target))
        source = read_source(target)
        wanted = choose(source.signatures(), options["failure"], str(target))
        say(f"shrinks {wanted.checker}/{wanted.kind} of {target}")
        allowance = _allowance(options)
        shrunk = shrink_plan(source.plan, wanted, allowance, progress.show, source.size(), source.clue(wanted))
        if shrunk is None:
            say(_did_not_fail(target, wanted.checker, wanted.kind, allowance.left))
            return EXIT_UNKNOWN
        stable = stability(shrunk.best, Trials(wanted, allowance), progress.show)
        result = document(str(target), shrunk, stable)
        settings = Settings(f"tri shrink {target}", target, options["runs"], progress.show)
        run_dir, judgement = write_shrunk(shrunk.best.plan, source, result, settings)
        if options["keep"] is not None:
            progress.show("keep", options["keep"])
            kept = keep(shrunk.best.plan, shrunk.signature, options["keep"], options["corpus"])
            say(f"kept in {kept}")
    if as_json:
        verdict = "crashed" if judgement is None else judgement.document["verdict"]
        out.print_json(json.dumps(written({**result, "run": str(run_dir), "verdict": verdict}), default=str))
    else:
        print_shrunk(result)
        again = ("replay", run_dir) if judgement is not None else ("run", "--plan", run_dir / "plan.json")
        repeat = repeat_by(["tri", *again], shrunk.best.plan.options)
        out.print(f"\nrun     {run_dir}\nrepeat  {repeat}")
    return EXIT_SHRUNK


class _Search:
    """Progress of a search whose tries are runs on hosts: that of the current run, and below it that of the search."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._last = progress, ""

    def show(self, step: str, detail: str) -> None:
        self._last = f"{step}: {detail}"
        self._progress.show(step, detail)

    def show_run(self, phase: str, detail: str) -> None:
        self._progress.show(phase, f"{detail}\n{self._last}")


def _on_hosts(target: Path, as_json: bool, options: Mapping[str, Any]) -> int:

    from ...evidence.writing import write_json
    from ...failures.rates import Rate, chance_of_none
    from ...report import write_report
    from ...run.settings import Settings
    from ...shrink.folder import SHRINK_FILE, choose, read_recorded
    from ...shrink.hosts import HostTrials, runs_on_hosts
    from ...shrink.plan import shrink_by
    from ...shrink.steps import ON_HOSTS
    from ...shrink.story import document

    source = read_recorded(target)
    wanted = choose(source.signatures(), options["failure"], str(target))
    say(f"shrinking {wanted.checker}/{wanted.kind} of {target}, up to {options['repeat']} runs for each try")
    with Progress() as progress:
        allowance, search = _allowance(options, on_hosts=True), _Search(progress)
        settings = Settings(f"tri shrink {target}", target, options["runs"], search.show_run)
        trials = HostTrials(wanted, allowance, runs_on_hosts(source, settings), options["repeat"], say)
        shrunk = shrink_by(trials, source.plan, search.show, source.size(), steps=ON_HOSTS)
        if shrunk is None or trials.last is None:
            say(_did_not_fail(target, wanted.checker, wanted.kind, allowance.left))
            return EXIT_UNKNOWN
        smallest = trials.last
        rate = Rate(*trials.rate(shrunk.best.plan))
        result = {
            **document(str(target), shrunk, None),
            "hits": [rate.count, rate.runs],
            "rate": asdict(rate),
            "repeat": options["repeat"],
            "unneeded": chance_of_none(rate, options["repeat"]),
        }
        write_json(smallest / SHRINK_FILE, result)
        write_report(smallest)
    if as_json:
        out.print_json(json.dumps(written({**result, "run": str(smallest)}), default=str))
    else:
        print_shrunk(result)
        out.print(f"fails in {rate}")
        if result["one_minimal"]:
            out.print(f"each part of it may be unnecessary, with a probability of at most {result['unneeded']:.1%}")
        out.print(f"\nrun     {smallest}")
    return EXIT_SHRUNK


def _history(target: Path, as_json: bool, options: Mapping[str, Any]) -> int:
    from tribulation.checkers import Budget

    from ...failures.signature import signatures
    from ...run.outcome.verdict import Asked, judge
    from ...shrink.folder import choose
    from ...shrink.history import shrink_history, write_small
    from ..asked import known_model

    with Progress() as progress:
        progress.show("check", str(target))
        asked = Asked(known_model(options["model"]))
        judgement = judge(
            target, budget=Budget(options["time_s"] or DEFAULT_S), format=options["format_name"], asked=asked
        )
        found = signatures(judgement.results, judgement.record.history)
        wanted = choose(found, options["failure"], str(target))
        allowance = _allowance(options)
        small = shrink_history(judgement.record, wanted, allowance, judgement.model, progress.show)
        path = write_small(small, target, options["format_name"], options["output"])
    result = {
        "source": str(target),
        "history": str(path),
        "signature": {"checker": wanted.checker, "kind": wanted.kind},
        "explanation": small.anomaly.explanation,
        "operations": list(small.operations),
        "one_minimal": small.one_minimal,
        "checks": small.runs,
        "seconds": round(small.spent_s, 1),
    }
    if as_json:
        out.print_json(json.dumps(written(result), default=str))
        return EXIT_SHRUNK
    before, after = small.operations
    out.print(f"{wanted.checker} {wanted.kind}: {small.anomaly.explanation}")
    minimal = "none of them can be removed" if small.one_minimal else "the time ended before everything was tried"
    out.print(f"\n{before} operations → {after}, by {small.runs} checks in {small.spent_s:.1f} s; {minimal}")
    out.print(f"history {path}\nlook    tri check {path} --explain")
    return EXIT_SHRUNK


def _allowance(options: Mapping[str, Any], *, on_hosts: bool = False) -> Allowance:
    """Return the budget of all phases: by default `DEFAULT_S` of processor time, which does not depend on how busy the machine is; on hosts, of real
    time.
    """
    from ...failures.allowance import Allowance

    time_s, cpu_s = options["time_s"], options["cpu_s"]
    if time_s is None and on_hosts:
        time_s = DEFAULT_S
    elif time_s is None and cpu_s is None:
        cpu_s = DEFAULT_S
    return Allowance(options["tries"], time_s, cpu_s=cpu_s)


def lasting_name(target: Path) -> Path:
    """Return the path without symbolic links, because `runs/latest` will soon point to another folder."""
    found = target.resolve()
    return found.relative_to(Path.cwd()) if found.is_relative_to(Path.cwd()) else found


def _did_not_fail(target: Path, checker: str, kind: str, left: bool) -> str:
    if not left:
        return f"unknown: the budget was exhausted before {target} failed again by {checker}/{kind}\nhint: --cpu-time 5m --tries 5000"
    return (
        f"unknown: the plan of {target} does not fail by {checker}/{kind} when it is repeated\n"
        f"hint: `tri replay {target}` shows whether the core is still the same"
    )


def print_shrunk(result: Mapping[str, Any]) -> None:
    """Print the story of the smallest plan, its size before and after, and its stability."""
    for when, what in result["story"]:
        out.print(f"{when:>9}  {what}")
    if result["more"]:
        out.print(f"           … and {result['more']} more in plan.json")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", *result["before"]):
        table.add_column(title, justify="right" if title else "left")
    for name in ("before", "after"):
        table.add_row(name, *(f"{value:g}" for value in result[name].values()))
    out.print()
    out.print(table)
    without = f"did not fail in {result['repeat']} runs" if "repeat" in result else "does not fail"
    minimal = (
        f"without any one fault or operation it {without}"
        if result["one_minimal"]
        else "the time ended before everything was tried"
    )
    out.print(f"\n{result['runs']} runs in {result['seconds']:g} s; {minimal}")
    if result["stability"]:
        out.print(describe_stability(result["stability"]))


def describe_stability(stable: Mapping[str, Any]) -> str:
    (repeats, times), (near, neighbours), (seeds, others) = (stable[n] for n in ("repeats", "neighbours", "seeds"))
    correct = {None: "", True: "; also without the flaw", False: "; never without the flaw"}[stable["without_flaws"]]
    parts = [
        f"{hits} of {tries} {what}"
        for hits, tries, what in (
            (repeats, times, "times as it is"),
            (near, neighbours, "with one time moved by 1 ms"),
            (seeds, others, "with another seed"),
        )
        if tries
    ]
    return f"fails {', '.join(parts)}{correct}" if parts else "the budget was exhausted before it was tried again"
