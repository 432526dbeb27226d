"""Verdicts on transactions against every order of a few of them: `python -m tests.checkers.transactions.fuzz N SEED [CASE]`.

An invalid history must be one by the oracle too; where the checker is exact, a valid one must be valid by it as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from tribulation.checkers import Verdict

from ..fuzz import main
from . import oracle
from .random_txns import Shape, random_history, scattered
from .stories import Txn, judge
from .witnesses import assert_proves, named

Txns = Sequence[Txn]


@dataclass(frozen=True)
class Case:
    """`checker` at `level` judges what `make` draws; `holds` is the oracle's answer. `exact`: no violation may be missed."""

    checker: str
    level: str | None
    make: Callable[[Random], Txns]
    holds: Callable[[Txns], bool]
    exact: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.checker if self.level is None else f"{self.checker}/{self.level}"


def agree(case: Case, seed: int) -> Verdict:
    """The verdict. Raises `AssertionError` where the oracle says otherwise."""
    txns = case.make(Random(f"{case.name}/{seed}"))
    result = judge(case.checker, txns, {"consistency": case.level, **case.options} if case.level else {})
    found = result.verdict
    if found is Verdict.INVALID:
        assert not case.holds(txns), f"false alarm of {case.name}: {txns}"
        for anomaly in result.anomalies:
            if case.checker in ("session-guarantees", "sequential-keys"):
                named(anomaly, txns)
            else:
                assert_proves(anomaly, txns, case.holds, apart=case.level in SERIALIZABLE)
    if found is Verdict.VALID and case.exact:
        assert case.holds(txns), f"missed by {case.name}: {txns}"
    return found


SERIALIZABLE = ("serializable", "strong-session-serializable", "strict-serializable")
SNAPSHOT = ("snapshot-isolation", "strong-session-snapshot-isolation", "strong-snapshot-isolation")
WEAK = ("read-committed", "read-atomic", "causal")
GUARANTEES = ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads", "PRAM")


def _shaped(**fields: Any) -> Callable[[Random], Txns]:
    return lambda random: random_history(random, Shape(wrong=0.6, **fields))


def _serial(level: str) -> Callable[[Txns], bool]:
    return lambda txns: oracle.serializable(txns, level)


def _snapshots(level: str) -> Callable[[Txns], bool]:
    return lambda txns: oracle.snapshot_isolated(txns, level)


def _weak(level: str) -> Callable[[Txns], bool]:
    return lambda txns: oracle.weak(txns, level)


def _guarantee(name: str) -> Callable[[Txns], bool]:
    return lambda txns: oracle.session_guarantee(txns, name)


# Registers whose every write follows a read of its key have a known order of versions, so that nothing may be missed.
_UPDATES: dict[str, Any] = {"lists": False, "rmw": True, "unknown": 0.0}

CASES: dict[str, Case] = {
    **{f"lists, {level}": Case("list-append", level, _shaped(), _serial(level)) for level in SERIALIZABLE},
    **{f"lists, {level}": Case("list-append", level, _shaped(transactions=4), _snapshots(level)) for level in SNAPSHOT},
    **{
        f"registers, {level}": Case("rw-register", level, _shaped(lists=False), _serial(level), exact=False)
        for level in SERIALIZABLE
    },
    **{
        f"registers exactly, {level}": Case(
            "rw-register", level, _shaped(lists=False), _serial(level), options={"exact": True}
        )
        for level in SERIALIZABLE
    },
    **{f"updates, {level}": Case("rw-register", level, _shaped(**_UPDATES), _serial(level)) for level in SERIALIZABLE},
    **{
        f"updates, {level}": Case("rw-register", level, _shaped(**_UPDATES, transactions=4), _snapshots(level))
        for level in SNAPSHOT
    },
    # Transactions are one object, so that the general search answers the same question as the strictest level.
    **{
        f"{kind}, searched": Case(
            "linearizable", "strict-serializable", _shaped(lists=kind == "lists"), _serial("strict-serializable")
        )
        for kind in ("lists", "registers")
    },
    # The exact checkers of weak levels, by themselves and as part of the models' checkers.
    **{
        f"{kind}, {level}{by}": Case(checker or level, level, _shaped(lists=kind == "lists"), _weak(level))
        for level in WEAK
        for kind, model in (("lists", "list-append"), ("registers", "rw-register"))
        for checker, by in ((None, ""), (model, " by the model"))
    },
    **{
        f"{kind}, sequential keys": Case(
            "sequential-keys", None, _shaped(lists=kind == "lists", transactions=6, most=2), oracle.sequential_keys
        )
        for kind in ("lists", "registers")
    },
    # Of what a process read before it wrote, writes-follow-reads takes only the last: never a false alarm, but not all.
    **{
        f"sessions, {name}": Case(
            "session-guarantees", name, scattered, _guarantee(name), exact=name != "writes-follow-reads"
        )
        for name in GUARANTEES
    },
}

FUZZ = {name: partial(lambda case, seed: agree(case, seed).value, case) for name, case in CASES.items()}

if __name__ == "__main__":
    sys.exit(main([__spec__.name]))
