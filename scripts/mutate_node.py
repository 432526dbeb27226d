"""Test whether the search finds mistakes that were not planted. Changes one thing at a time in the node's core, and searches each mutant for so many
seconds of CPU.

    python scripts/mutate_node.py --sample 100 --seed 7                    a hundred mutants of node/core, drawn by the seed
    python scripts/mutate_node.py --paths node/core/raft --cpu 60          all of a folder, a minute each
    python scripts/mutate_node.py --sample 100 --seed 7 --again OUTPUT     those that survived in an earlier run, by its output

A mutant is *found* when a trial of one of the campaigns fails, by a checker or by a crash of the node. No unit test is run. One that survives makes
no difference, or shows what the search does not reach: docs/internals/node-mutation.md says which. Mutants are tried in forks of one process that has
imported everything, so that a busy machine changes nothing but the time it takes.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from random import Random
from types import FunctionType

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from mutate import PACKAGE, Mutant, Survivors, Tally, _modules  # noqa: E402
from mutation_runs import UNFIT, Trial, _functions, bound, put_in_place  # noqa: E402
from mutations import mutations  # noqa: E402

from tribulation.harness.campaign.load import load_campaign  # noqa: E402
from tribulation.harness.search.trial import Task, run_trial  # noqa: E402

CAMPAIGNS = ("all-faults", "swarm")
OF_PART = {
    "memory": ("memory", "memory-halves"),
    "tasks": ("tasks", "tasks-in-flight"),
    "agents": ("agents", "tasks"),
    "cluster": ("members", "churn", "agents"),
    "detector": ("members", "churn"),
    "discovery": ("members", "churn"),
}
"""Folder of `node/core` → the campaigns that use it. Those of `CAMPAIGNS` are for every other folder, and begin no member, task or memory."""
FOUND, LEFT = 1, 0
Living = Mapping[str, Sequence[FunctionType]]
"""By file."""

STUCK_FACTOR = 3
"""A child that took so many times its CPU time is in a loop without end, which a trial notices as well."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    mutants = [
        (module, mutation)
        for path in options.paths
        for module in _modules(path)
        for mutation in mutations((ROOT / module).read_text(encoding="utf-8"))
        if mutation.within
    ]
    if options.again is not None:
        survivors = Survivors.parse(options.again.read_text(encoding="utf-8"))
        mutants = [mutant for mutant in mutants if survivors.have(mutant)]
    print(f"seed {options.seed}: {len(mutants)} mutants of functions", flush=True)
    if options.sample is not None and options.sample < len(mutants):
        mutants = Random(options.seed).sample(mutants, options.sample)
    named = {module: options.campaigns or campaigns_of(module) for module, _ in mutants}
    loaded = {
        name: load_campaign(ROOT / f"campaigns/{name}.yaml", hosts="sim")
        for name in sorted({name for names in named.values() for name in names})
    }
    tally = Tally(len(mutants))
    warm(list(loaded.values()))
    living = _functions({file_of(module) for module, _ in mutants})
    gc.freeze()  # not before: what is frozen is not found
    for mutant in mutants:
        try_one(mutant, living, [loaded[name] for name in named[mutant[0]]], options.cpu, tally)
    print(tally.table())
    return 0 if tally.killed_percent() >= options.least else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--paths", nargs="+", type=Path, default=[Path("node/core")], help="modules or folders")
    parser.add_argument("--sample", type=int, help="so many mutants, drawn by the seed; without it all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cpu", type=float, default=25.0, help="seconds of CPU for each mutant")
    parser.add_argument("--campaigns", nargs="+", help="of campaigns/, tried by turns; by default those of the folder")
    parser.add_argument("--again", type=Path, help="only mutants that survived in the run whose output this file holds")
    parser.add_argument("--least", type=float, default=0.0, help="per cent found below which it exits with 1")
    return parser.parse_args(arguments)


def campaigns_of(module: Path) -> Sequence[str]:
    """Campaigns that use what the module does."""
    parts = module.relative_to("node/core").parts if module.is_relative_to("node/core") else ()
    return OF_PART.get(parts[0], CAMPAIGNS) if parts else CAMPAIGNS


def file_of(module: Path) -> str:
    """The file by the name under which it is imported."""
    return str(ROOT / PACKAGE / module)


def warm(campaigns: Sequence[object]) -> None:
    """Import and compile all that trials use, once."""
    for campaign in campaigns:
        for seed in range(2):
            run_trial(Task(campaign, 10**9 + seed, True, ROOT / "campaigns"))  # type: ignore[arg-type]
    gc.collect()


def try_one(mutant: Mutant, living: Living, campaigns: Sequence[object], cpu_s: float, tally: Tally) -> None:
    module, mutation = mutant
    began = time.monotonic()
    child = os.fork()
    if not child:
        os._exit(_searched(mutant, living, campaigns, cpu_s))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == UNFIT:
        tally.total -= 1
        return
    tally.add(mutant, survived=code == LEFT)
    if code != LEFT:
        print(f"found {module}:{mutation.line}: {mutation.what} ({time.monotonic() - began:.0f} s)", flush=True)


def _searched(mutant: Mutant, living: Living, campaigns: Sequence[object], cpu_s: float) -> int:
    """Search for the mutant, in the child. A loop without end is ended by a signal, and counts as found: so would a node be that hangs."""
    module, mutation = mutant
    file = file_of(module)
    if not put_in_place(Trial(file, mutation, []), living[file]):
        return UNFIT
    bound()
    used_s = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (int(used_s + STUCK_FACTOR * cpu_s), resource.RLIM_INFINITY))
    began_s = time.process_time()
    for seed in count(1):
        campaign = campaigns[seed % len(campaigns)]
        trial = run_trial(Task(campaign, seed, True, ROOT / "campaigns"))  # type: ignore[arg-type]
        if trial.failed:
            first = trial.signatures[0]
            print(f"  seed {seed}, {time.process_time() - began_s:.1f} s: {first.checker}/{first.kind}", flush=True)
            return FOUND
        if time.process_time() - began_s > cpu_s:
            return LEFT
    return LEFT


if __name__ == "__main__":
    sys.exit(main())
