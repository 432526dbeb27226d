"""The hunt for one flaw: in how many seeds is it caught, by whom, how early, and what does the smallest plan that shows it need?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from node.flaws import FLAWS

from ..simulator.soak.aims import AIMED, UNREACHABLE
from .zoo_minimal import smallest
from .zoo_trials import Outcome, Trial, attempts

AFTER_FIRST = 200
"""Seeds beyond the first that catches a flaw, from which its rate is measured."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Tally:
    """Seeds 0 .. `tried` - 1 of the plans with `aim` (None: without one). `seen` counts the hits by who objected, as checker/kind."""

    aim: str | None
    tried: int
    hits: tuple[int, ...]
    seen: Mapping[str, int] = field(default_factory=dict)

    @property
    def per_1000(self) -> float | None:
        """Hits in a thousand seeds, measured on those after the first hit, which were not chosen by it; None without any."""
        if not self.hits:
            return 0.0 if self.tried else None
        after = self.tried - self.hits[0] - 1
        return round(1000 * (len(self.hits) - 1) / after, 1) if after else None


@dataclass(frozen=True, slots=True)
class Caught:
    """One flaw's row: the tally of plans without an aim, that of its aim if that was needed, and the smallest plan of the first hit,
    as what was `kept` of it and in words."""

    name: str
    expected: str
    random: Tally
    aimed: Tally | None = None
    actions: int = 0
    kept: tuple[int | str, ...] = ()
    smallest: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    command: str = ""
    sentence: str = ""

    @property
    def found(self) -> bool:
        return bool(self.tally.hits)

    @property
    def tally(self) -> Tally:
        """The one that found it, or else the last that was tried."""
        return self.random if self.aimed is None else self.aimed

    @property
    def checkers(self) -> list[str]:
        """Who objected, the most frequent first."""
        count: Counter[str] = Counter()
        for name, hits in self.tally.seen.items():
            count[name.split("/")[0]] += hits
        return [name for name, _ in count.most_common()]

    def to_json(self) -> dict[str, Any]:
        """What is stored, and read back by `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Caught:
        tallies = {
            key: None if data[key] is None else Tally(**{**data[key], "hits": tuple(data[key]["hits"])})
            for key in ("random", "aimed")
        }
        lists = {key: tuple(data[key]) for key in ("kept", "smallest", "needs")}
        return cls(**{**data, **tallies, **lists})

    def summary(self) -> dict[str, Any]:
        """What `--json` tells."""
        tally = self.tally
        return {
            "name": self.name,
            "found": self.found,
            "per_1000": tally.per_1000,
            "first_seed": tally.hits[0] if tally.hits else None,
            "aim": None if self.aimed is None else self.aimed.aim,
            "checker": self.checkers[0] if self.checkers else None,
            "expected_checker": self.expected,
            "as_expected": self.expected in self.checkers,
            "seen": dict(tally.seen),
            "tried": tally.tried,
            "hits": len(tally.hits),
            "tried_without_aim": self.random.tried,
            "plan_size": len(self.smallest),
            "plan": list(self.smallest),
            "faults": list(self.needs),
            "command": self.command,
            "sentence": self.sentence,
        }


def hunt(name: str, seeds: int, jobs: int = 1, tell: Tell = lambda text: None) -> Caught:
    """Without an aim first, unless no such plan can meet the flaw; then with the flaw's aim, if it has one."""
    random, first = _search(name, None, 0 if name in UNREACHABLE else seeds, jobs, tell)
    aimed = None
    if first is None and name in AIMED:
        aimed, first = _search(name, AIMED[name], seeds, jobs, tell)
    caught = Caught(name, FLAWS[name].checker, random, aimed)
    if first is None:
        return caught
    tell(f"{name}: the smallest plan of seed {first.trial.seed}")
    least = smallest(first.trial)
    return Caught(
        name,
        caught.expected,
        random,
        aimed,
        least.actions,
        least.kept,
        least.parts,
        least.sorts,
        least.command,
        least.sentence,
    )


def _search(name: str, aim: str | None, seeds: int, jobs: int, tell: Tell) -> tuple[Tally, Outcome | None]:
    first: Outcome | None = None
    tried, hits, seen = 0, [], Counter[str]()
    trials = (Trial(seed, name, aim) for seed in range(seeds))
    outcomes = attempts(trials, jobs)
    for outcome in outcomes:
        tried += 1
        if outcome.failed:
            first = first or outcome
            hits.append(outcome.trial.seed)
            seen[f"{outcome.checker}/{outcome.kind}"] += 1
        if first is not None and tried > first.trial.seed + AFTER_FIRST:
            break
        tell(f"{name}: {len(hits)} hits in {tried} seeds" + (f" aimed at {aim}" if aim else ""))
    outcomes.close()
    return Tally(aim, tried, tuple(hits), dict(seen.most_common())), first
