"""Rates in repeated runs: a count of each verdict and failure, with the interval in which its rate lies. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import sqrt
from typing import Any

CONFIDENCE = 0.95
Z = 1.959963984540054
"""The number of standard deviations that contain `CONFIDENCE` of a normal distribution."""
ERROR = "error"
"""The outcome of a run without a verdict: its hosts, its deployment or its folder failed."""
WORST_FIRST = (1, 70, 4, 3, 0)
"""Exit codes of runs, by priority for the exit code of all runs together."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """One of the repeated runs. `outcome` is its verdict, or `ERROR`; `failures` are `CHECKER/KIND`; `why` is the reason why a run is undecided."""

    seed: int
    outcome: str
    exit_code: int
    run: str | None = None
    failures: Sequence[str] = ()
    why: str = ""
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `runs`; the true rate lies between `low` and `high` with confidence `CONFIDENCE`, by Wilson's score interval (1927)."""

    count: int
    runs: int
    rate: float = field(init=False)
    low: float = field(init=False)
    high: float = field(init=False)

    def __post_init__(self) -> None:
        low, high = wilson(self.count, self.runs)
        for name, value in (("rate", self.count / self.runs), ("low", low), ("high", high)):
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        return f"{self.count} of {self.runs} ({self.rate:.0%}; {CONFIDENCE:.0%} interval {self.low:.0%} to {self.high:.0%})"


def wilson(count: int, runs: int) -> tuple[float, float]:
    """The bounds of a rate with `count` occurrences in `runs`. The interval is not empty for 0 or all occurrences, unlike that of the normal
    distribution.
    """
    if not 0 <= count <= runs or runs < 1:
        raise ValueError(f"{count} of {runs} is not a rate")
    share, weight = count / runs, Z * Z / runs
    middle = (share + weight / 2) / (1 + weight)
    spread = Z * sqrt(share * (1 - share) / runs + weight / (4 * runs)) / (1 + weight)
    # Exact at the ends, where rounding would leave some 1e-17.
    return (0.0 if count == 0 else max(0.0, middle - spread)), (1.0 if count == runs else min(1.0, middle + spread))


def chance_of_none(rate: Rate, runs: int) -> float:
    """An upper bound, with `CONFIDENCE` in the rate, of the probability that none of this number of runs fails."""
    return float((1 - rate.low) ** runs)


def rates(repeats: Sequence[Repeat]) -> dict[str, Rate]:
    """Return the rate of each outcome, in the order of their first runs."""
    return _counted([[one.outcome] for one in repeats])


def failure_rates(repeats: Sequence[Repeat]) -> dict[str, Rate]:
    """Return by `CHECKER/KIND` in how many runs it was found."""
    return _counted([list(one.failures) for one in repeats])


def _counted(named: Sequence[Sequence[str]]) -> dict[str, Rate]:
    names = dict.fromkeys(name for found in named for name in found)
    return {name: Rate(sum(name in found for found in named), len(named)) for name in names}


def exit_code(repeats: Sequence[Repeat]) -> int:
    """The worst of the runs' codes: an anomaly, then a bug, the environment, unknown, valid."""
    found = {one.exit_code for one in repeats}
    return next((code for code in WORST_FIRST if code in found), max(found, default=3))


def to_json(repeats: Sequence[Repeat]) -> dict[str, Any]:
    def described(found: Mapping[str, Rate]) -> dict[str, Any]:
        return {name: asdict(rate) for name, rate in found.items()}

    return {
        "confidence": CONFIDENCE,
        "rates": described(rates(repeats)),
        "failures": described(failure_rates(repeats)),
        "runs": [asdict(one) for one in repeats],
        "exit_code": exit_code(repeats),
    }
