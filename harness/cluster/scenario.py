"""A scenario: the promise, how to observe it, and the observation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .deployed import Deployed
from .setup import Setup


@dataclass(frozen=True, slots=True)
class Scenario:
    """`run` carries it out and returns what it measured, in words; it raises `Missed` or `Refused` when the promise was not kept.

    `fresh`: it needs a new deployment.
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
    """`passed` is None when nothing was measured: `measured` then says why."""

    scenario: Scenario
    measured: str
    passed: bool | None
    elapsed_s: float = 0.0
