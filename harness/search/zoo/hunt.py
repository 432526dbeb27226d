"""The hunt for one flaw: in how many seeds it is caught, by which checker, how early, and the smallest plan that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tribulation.node.flaws.switch import FLAWS

from ...simulator.soak.aims import AIMED, UNREACHABLE
from ...simulator.soak.run import objections
from .minimal import smallest
from .trials import Outcome, Trial, attempts

SEEDS = 1000
AFTER_FIRST = 200
"""Seeds after the first hit, over which a flaw's rate is measured."""
GONE_ON = 12
"""At most so many hits are checked for whether the expected checker would object too if the run went on."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Tally:
    """Seeds 0 .. `tried` - 1 of the plans with `aim` (None: without one). `seen` counts the hits by the objection, as checker/kind."""

    aim: str | None
    tried: int
    hits: tuple[int, ...]
    seen: Mapping[str, int] = field(default_factory=dict)

    @property
    def per_1000(self) -> float | None:
        """Hits in a thousand seeds, measured on those after the first hit; None without any."""
        if not self.hits:
            return 0.0 if self.tried else None
        after = self.tried - self.hits[0] - 1
        return round(1000 * (len(self.hits) - 1) / after, 1) if after else None


@dataclass(frozen=True, slots=True)
class Caught:
    """One flaw's row: the tally of plans without an aim, that of its aim if it was needed, and the smallest plan of the first hit, as what was
    `kept` of it and in words. `gone_on` is a seed whose run the expected checker also refuses when it is not stopped at the first broken promise.
    """

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
    gone_on: int | None = None

    @property
    def as_expected(self) -> bool:
        """Whether the expected checker objects: at the first hit, at another, or at one that runs to its end."""
        return self.expected in self.checkers or self.gone_on is not None

    @property
    def found(self) -> bool:
        return bool(self.tally.hits)

    @property
    def tally(self) -> Tally:
        """The tally that found it, or else the last one."""
        return self.random if self.aimed is None else self.aimed

    @property
    def checkers(self) -> list[str]:
        """The checkers that objected, the most frequent first."""
        count: Counter[str] = Counter()
        for name, hits in self.tally.seen.items():
            count[name.split("/")[0]] += hits
        return [name for name, _ in count.most_common()]

    def to_json(self) -> dict[str, Any]:
        """The stored form, which `from_json` reads back."""
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
        """The row of `--json`."""
        tally = self.tally
        return {
            "name": self.name,
            "found": self.found,
            "per_1000": tally.per_1000,
            "first_seed": tally.hits[0] if tally.hits else None,
            "aim": None if self.aimed is None else self.aimed.aim,
            "checker": self.checkers[0] if self.checkers else None,
            "expected_checker": self.expected,
            "as_expected": self.as_expected,
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


@dataclass(frozen=True, slots=True)
class Effort:
    """How far to hunt: `seeds` at most, `after` beyond the first hit, and `unaimed` at most without an aim for flaws that have one."""

    seeds: int = SEEDS
    after: int = AFTER_FIRST
    unaimed: int = SEEDS

    def limit(self, name: str, aim: str | None) -> int:
        if aim is not None or name not in AIMED:
            return self.seeds
        return 0 if name in UNREACHABLE else min(self.seeds, self.unaimed)

    def last(self, name: str, tally: Tally) -> int:
        """The number of seeds to try, as far as is known."""
        limit = self.limit(name, tally.aim)
        return min(limit, tally.hits[0] + 1 + self.after) if tally.hits else limit


def is_done(caught: Caught | None, effort: Effort) -> bool:
    """Whether a hunt would try nothing more."""
    if caught is None:
        return False
    aimed = caught.aimed or Tally(AIMED.get(caught.name), 0, ())
    tallies = [caught.random] if caught.random.hits or caught.name not in AIMED else [caught.random, aimed]
    return all(tally.tried >= effort.last(caught.name, tally) for tally in tallies)


def hunt(
    name: str, effort: Effort, jobs: int = 1, tell: Tell = lambda text: None, known: Caught | None = None
) -> Caught:
    """Hunt without an aim first, unless no such plan can meet the flaw; then with the flaw's aim, if it has one. Continues from what is `known`."""
    random = _search(name, known.random if known else Tally(None, 0, ()), effort, jobs, tell)
    aimed = None
    if not random.hits and name in AIMED:
        begun = known.aimed if known and known.aimed else Tally(AIMED[name], 0, ())
        aimed = _search(name, begun, effort, jobs, tell)
    caught = Caught(name, FLAWS[name].checker, random, aimed)
    if not caught.found:
        return caught
    if known is None or known.tally.hits[:1] != caught.tally.hits[:1] or known.tally.aim != caught.tally.aim:
        caught = _made_small(caught, tell)
    else:
        caught = replace(known, random=random, aimed=aimed)
    return caught if caught.as_expected else replace(caught, gone_on=_goes_on(caught, tell))


def _made_small(caught: Caught, tell: Tell) -> Caught:
    first = Trial(caught.tally.hits[0], caught.name, caught.tally.aim)
    tell(f"{caught.name}: the smallest plan of seed {first.seed}")
    least = smallest(first)
    return replace(
        caught,
        actions=least.actions,
        kept=least.kept,
        smallest=least.parts,
        needs=least.sorts,
        command=least.command,
        sentence=least.sentence,
    )


def _goes_on(caught: Caught, tell: Tell) -> int | None:
    for seed in caught.tally.hits[:GONE_ON]:
        tell(f"{caught.name}: does {caught.expected} object too, at seed {seed}?")
        said = objections(Trial(seed, caught.name, caught.tally.aim).plan())
        if caught.expected in (checker for checker, _ in said):
            return seed
    return None


def _search(name: str, begun: Tally, effort: Effort, jobs: int, tell: Tell) -> Tally:
    tally, limit = begun, effort.limit(name, begun.aim)
    outcomes = attempts((Trial(seed, name, begun.aim) for seed in range(begun.tried, limit)), jobs)
    while tally.tried < effort.last(name, tally):
        tally = _counted(tally, next(outcomes))
        tell(f"{name}: {len(tally.hits)} hits in {tally.tried} seeds" + (f" aimed at {tally.aim}" if tally.aim else ""))
    outcomes.close()
    return tally


def _counted(tally: Tally, outcome: Outcome) -> Tally:
    if not outcome.failed:
        return replace(tally, tried=tally.tried + 1)
    seen = Counter(tally.seen)
    seen[f"{outcome.checker}/{outcome.kind}"] += 1
    return replace(tally, tried=tally.tried + 1, hits=(*tally.hits, outcome.trial.seed), seen=dict(seen.most_common()))
