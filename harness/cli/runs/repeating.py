"""Repeated runs of one campaign: a line for each, and at the end a table of rates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ...errors import CampaignError, TribulationError, text_of
from ...failures.rates import ERROR, Rate, Repeat, exit_code, failure_rates, rates, to_json
from ...failures.signature import signatures
from ...run.interrupts import Interrupted
from ...run.outcome.verdict import EXIT_ENVIRONMENT, EXIT_UNKNOWN, EXIT_VALID
from ..console import COLOURS, Progress, marked, out, say
from ..document import print_document

if TYPE_CHECKING:
    from ...run.outcome.verdict import Judgement

LONGEST_WHY = 200


def repeats(
    run: Callable[[int], Judgement], seeds: Sequence[int], until: str | None, show: Callable[[str], None]
) -> Iterator[Repeat]:
    """Run once with each seed, until an outcome is `until`. An error of the environment is an outcome; that of a wrong campaign is raised."""
    for number, seed in enumerate(seeds, 1):
        began_s = time.monotonic()
        try:
            found = _of(run(seed), seed, time.monotonic() - began_s)
        except (CampaignError, Interrupted):
            raise
        except TribulationError as error:
            found = Repeat(seed, ERROR, error.exit_code, None, (), _short(text_of(error)), time.monotonic() - began_s)
        show(f"{number} of {len(seeds)}: seed {seed}: {line_of(found)}")
        yield found
        if found.outcome == until:
            return


def _of(judgement: Judgement, seed: int, elapsed_s: float) -> Repeat:
    failures = dict.fromkeys(
        f"{one.checker}/{one.kind}" for one in signatures(judgement.results, judgement.record.history)
    )
    document = judgement.document
    reasons = [f"{name}: {result.reason}" for name, result in judgement.results.items() if result.reason]
    why = next(iter([*document["errors"], *document["doubts"], *reasons]), "") if judgement.exit_code != 0 else ""
    return Repeat(
        seed,
        judgement.verdict.value,
        judgement.exit_code,
        str(document["run"]),
        tuple(failures),
        _short(why),
        elapsed_s,
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_WHY else f"{line[: LONGEST_WHY - 1]}…"


def line_of(one: Repeat) -> str:
    more = [*(one.failures or [one.why]), one.run or ""]
    return ", ".join([one.outcome, f"{one.elapsed_s:.0f} s", *filter(None, more)])


def report(found: Sequence[Repeat], asked: int, until: str | None, about: dict[str, Any], as_json: bool) -> int:
    """Print the results, and return the exit code."""
    code = exit_code(found)
    if as_json:
        print_document({**about, "asked": asked, "until": until, **to_json(found)})
        return code
    table = Table(box=None, pad_edge=False)
    for heading in ("seed", "outcome", "s", "found", "run"):
        table.add_column(heading, justify="right" if heading in ("seed", "s") else "left", overflow="fold")
    for one in found:
        colour = COLOURS.get(one.outcome, "magenta")
        what = ", ".join(one.failures) or one.why
        table.add_row(str(one.seed), marked("[{}]{}[/]", colour, one.outcome), f"{one.elapsed_s:.0f}", what, one.run)
    out.print(table)
    out.print()
    for name, rate in {**rates(found), **failure_rates(found)}.items():
        out.print(f"{name}: {rate}")
    if len(found) < asked:
        out.print(
            f"ended after {len(found)} of {asked} runs" + (f": {until}" if found and found[-1].outcome == until else "")
        )
    return code


def replayed(target: Path, times: int, failure: str | None, runs: Path, as_json: bool) -> int:
    """Repeat the plan of a run on hosts, and count the runs that fail in the same way. Exit code: 0 at least one did, 4 none reached a verdict, 3 otherwise."""
    from ...plugins.trust import repeat_by
    from ...run.settings import Settings
    from ...shrink.folder import choose, read_recorded
    from ...shrink.hosts import runs_on_hosts

    source = read_recorded(target)
    wanted = choose(source.signatures(), failure, str(target))
    name = f"{wanted.checker}/{wanted.kind}"
    say(f"runs the plan of {target} {times} times, and looks for {name}")
    with Progress() as progress:
        run = runs_on_hosts(
            source, Settings(repeat_by(["tri", "replay", target], source.plan.options), target, runs, progress.show)
        )
        found = list(repeats(lambda seed: run(source.plan), [source.plan.seed] * times, None, say))
    alike = Rate(sum(name in one.failures for one in found), len(found))
    if as_json:
        print_document({"run": str(target), "failure": name, "alike": asdict(alike), **to_json(found)})
    else:
        out.print(f"fails by {name} in {alike}")
        for one in found:
            out.print(f"  {line_of(one)}")
    if alike.count:
        return EXIT_VALID
    return EXIT_ENVIRONMENT if all(one.outcome == ERROR for one in found) else EXIT_UNKNOWN
