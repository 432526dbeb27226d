"""`tri search --all-flaws`: hunts flaws in the simulator, runs the correct node in the same plans, and prints the table of results.

    tri search --all-flaws --state zoo.jsonl                      # all 43 of them; go on later with the same command
    tri search --all-flaws --flaw ack-before-fsync --json
    python -m tribulation.harness.search.zoo.zoo --state benchmarks/results/zoo.jsonl --ablate --markdown docs/reference/flaws.md

A flaw is hunted in the plans of seeds 0, 1, 2, … until 200 seeds after the first that catches it; if none of `seeds` does, or none can, in the plans
of its declared aim. The first plan that catches it is then made as small as possible.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tribulation.node.flaws.switch import FLAWS, HUNTED, SHOWN

from ...errors import CampaignError
from .ablate import ablations
from .hunt import AFTER_FIRST, SEEDS, Effort, Tell, hunt, is_done
from .state import Control, State, open_state
from .table import markdown, table, write_between
from .trials import Trial, attempts

TOLD_EVERY_S = 5.0


def zoo_command(
    flaws: Sequence[str],
    seeds: int | None = None,
    jobs: int = 1,
    as_json: bool = False,
    state: Path | None = None,
    console: Console | None = None,
) -> int:
    """0 if every flaw was found and the correct node raised no alarm, 1 otherwise; progress goes to stderr. Raises `CampaignError`."""
    names = _chosen(flaws)
    kept = open_state(state)
    run(kept, names, jobs, Talk(console), Effort(seeds or SEEDS))
    result = document(kept, names)
    out = Console(highlight=False, soft_wrap=True)
    out.print_json(json.dumps(result)) if as_json else out.print(table(kept, names))
    return 0 if all(flaw["found"] for flaw in result["flaws"]) and not result["false_alarms"] else 1


class Talk:
    """Reports progress on stderr: each finished flaw, and what is under way every few seconds."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._began_s = self._last_s = time.monotonic()

    def under_way(self, text: str) -> None:
        if time.monotonic() - self._last_s >= TOLD_EVERY_S:
            self._say(text)

    def done(self, text: str, done: int, of: int) -> None:
        left_s = (time.monotonic() - self._began_s) / done * (of - done)
        self._say(f"{text}; {done} of {of}" + (f", about {left_s / 60:.0f} min left" if done < of else ""))

    def _say(self, text: str) -> None:
        self._last_s = time.monotonic()
        self._console.print(text, markup=False)


def run(
    state: State, names: Sequence[str], jobs: int, talk: Talk, effort: Effort | None = None, control: bool = True
) -> None:
    """Hunt what the state lacks, or has with fewer seeds, and run the correct node in the same plans."""
    effort = effort or Effort()
    missing = [name for name in names if not is_done(state.caught.get(name), effort)]
    for done, name in enumerate(missing, 1):
        state.add(caught := hunt(name, effort, jobs, talk.under_way, state.caught.get(name)))
        found = f"found by {', '.join(caught.checkers)} at seed {caught.tally.hits[0]}" if caught.found else "not found"
        talk.done(f"{name}: {found}", done, len(missing))
    controls = [wanted for wanted in _controls(state, names) if control and state.control(*wanted[:3]) is None]
    for done, (aim, settings, tried, flaw) in enumerate(controls, 1):
        state.add(stood := _stand(aim, settings, tried, flaw, jobs, talk.under_way))
        talk.done(f"correct node, {aim or 'no aim'} {settings}: {len(stood.alarms)} alarms", done, len(controls))


def ablate(state: State, names: Sequence[str], jobs: int, talk: Talk) -> None:
    """Find the sorts of fault that each flaw needs."""
    found = [state.caught[name] for name in names if name in state.caught and state.caught[name].needs]
    for done, caught in enumerate(found, 1):
        known = {ablated.sort: ablated for ablated in state.ablated if ablated.name == caught.name}
        for ablated in ablations(caught, known, jobs, talk.under_way):
            if known.get(ablated.sort) != ablated:
                state.add(ablated)
        talk.done(caught.name, done, len(found))


def document(state: State, names: Sequence[str]) -> dict[str, Any]:
    """`false_alarms` and `correct_seeds` count the correct node's trials, over all the plans in which the flaws were hunted."""
    controls = [state.control(*wanted[:3]) for wanted in _controls(state, names)]
    alarms = [alarm for control in controls if control is not None for alarm in control.alarms]
    return {
        "flaws": [state.caught[name].summary() for name in names],
        "found": sum(state.caught[name].found for name in names),
        "false_alarms": len(alarms),
        "alarms": [{"seed": seed, "kind": kind, "sentence": sentence} for seed, kind, sentence in alarms],
        "correct_seeds": sum(control.tried for control in controls if control is not None),
    }


def _chosen(flaws: Sequence[str]) -> list[str]:
    for name in flaws:
        if name not in FLAWS:
            raise CampaignError(f"--flaw {name}: there is no such flaw", hint=f"the flaws are {', '.join(FLAWS)}")
        if name in SHOWN:
            hint = f"tri search flaws/{name} --seeds 20"
            raise CampaignError(
                f"--flaw {name}: it needs members, agents or tasks, which these plans do not have", hint=hint
            )
    return [name for name in HUNTED if not flaws or name in flaws]


def _controls(state: State, names: Sequence[str]) -> Iterator[tuple[str | None, str, int, str]]:
    """(aim, settings, seeds, flaw) for every set of plans in which a flaw was hunted, each once; the settings are the flaw's."""
    longest: dict[tuple[str | None, str], tuple[int, str]] = {}
    for name in names:
        settings = json.dumps(dict(FLAWS[name].settings), sort_keys=True)
        for tally in (state.caught[name].random, state.caught[name].aimed):
            if tally is not None and tally.tried > longest.get((tally.aim, settings), (0, ""))[0]:
                longest[tally.aim, settings] = (tally.tried, name)
    for (aim, settings), (tried, flaw) in longest.items():
        yield aim, settings, tried, flaw


def _stand(aim: str | None, settings: str, tried: int, flaw: str, jobs: int, tell: Tell) -> Control:
    alarms = []
    for outcome in attempts((Trial(seed, flaw, aim, correct=True) for seed in range(tried)), jobs):
        if outcome.failed:
            alarms.append((outcome.trial.seed, f"{outcome.checker}/{outcome.kind}", outcome.sentence))
        tell(f"correct node, {aim or 'no aim'} {settings}: {outcome.trial.seed + 1} of {tried} seeds")
    return Control(aim, settings, tried, tuple(alarms))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a module, with options that only the documentation needs."""
    parser = argparse.ArgumentParser(prog="python -m tribulation.harness.search.zoo.zoo")
    parser.add_argument("--flaw", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--after", type=int, default=AFTER_FIRST, help="seeds beyond the first hit, for the rate")
    parser.add_argument("--unaimed", type=int, default=SEEDS, help="seeds without an aim, of flaws that have one")
    parser.add_argument("--no-control", action="store_true", help="do not run the correct node")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--ablate", action="store_true", help="also hunt without the sorts of fault that were needed")
    parser.add_argument("--markdown", type=Path, help="write the tables between the markers of this file")
    given = parser.parse_args(arguments)
    names, talk = _chosen(given.flaw), Talk()
    state = open_state(given.state)
    effort = Effort(given.seeds, given.after, given.unaimed)
    run(state, names, given.jobs, talk, effort, control=not given.no_control)
    if given.ablate:
        ablate(state, names, given.jobs, talk)
    if given.markdown is not None:
        write_between(given.markdown, markdown(state, names, document(state, names)))
    else:
        Console(highlight=False, soft_wrap=True).print(table(state, names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
