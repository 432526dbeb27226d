"""A scenario: the promise, how to observe it, and the observation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .deployed import Deployed
from .setup import Setup


@dataclass(frozen=True, slots=True)
class Scenario:
    """`run` executes the scenario and returns its measurements as text; it raises `Missed` or `Refused` if the promise was not kept.

    `fresh`: the scenario needs a new deployment.
    """

    number: int
    category: str
    name: str
    promised: str
    setup: Setup
    run: Callable[[Deployed], str]
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """`passed` is None when nothing was measured: `measured` then has the reason."""

    scenario: Scenario
    measured: str
    passed: bool | None
    elapsed_s: float = 0.0
