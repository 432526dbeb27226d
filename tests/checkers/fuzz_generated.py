"""Histories of the benchmarks' generator under random settings: `python -m tests.checkers.fuzz_generated N SEED [CASE]`.

What is generated is valid, and nothing may object to it; the order that a fast path gives for it is re-checked by `tribulation.checkers.verify`. What is
planted into it must be found.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from random import Random

from benchmarks.generators import MODELS, VIOLATIONS, Settings, generate, plant
from tribulation.checkers import Budget, CheckResult, Verdict, check
from tribulation.checkers.transactions.table.lattice import levels
from tribulation.checkers.verify import verify_order, verify_witness
from tribulation.histories.model.columns import Columns
from tribulation.histories.model.rows import history_of_columns

from .fuzz import main
from .witnesses import assert_shows, named

TRANSACTIONS = frozenset({"list-append", "rw-register"})
SPECIFICATIONS = {"cas-register": "register", "kv": "register", "fenced-mutex": "mutex"}
"""Model → what `tribulation.checkers.verify` calls the object, where that differs."""

WITNESS = 8
"""Operations of which all orders can be tried."""


def drawn(model: str, chance: Random, least: int = 20) -> Settings:
    """Settings of a small history. Values repeat in a `cas-register` only: there the search judges, which many clients make slow."""
    searched = model == "cas-register"
    return Settings(
        model,
        chance.randint(least, 500),
        clients=chance.randint(1, 6 if searched else 40),
        keys=chance.choice((1, 1, 3, 10)),
        info_rate=chance.choice((0.0, 0.01, 0.05)),
        fail_rate=chance.choice((0.0, 0.03)),
        pause=chance.choice((0.0, 0.5, 0.9)),
        seed=chance.getrandbits(32),
    )


def judged(columns: Columns, model: str, level: str | None = None) -> dict[str, CheckResult]:
    """What `tri check` would say."""
    named = MODELS[model]
    asked = "kv" if named in ("register", "cas-register") and columns.keys else named
    return check(columns, model=asked, consistency=level, certificate=True, budget=Budget(30.0))


def valid(model: str, seed: int) -> str:
    """Nothing objects; certificates hold. A doubt is not an objection, but is reported."""
    chance = Random(f"{model}/{seed}")
    settings = drawn(model, chance)
    level = chance.choice(list(levels())) if model in TRANSACTIONS else None
    columns = generate(settings)
    results = judged(columns, model, level)
    verdicts = {name: result.verdict for name, result in results.items()}
    assert Verdict.INVALID not in verdicts.values(), f"{verdicts} of {settings} at {level}"
    for result in results.values():
        recheck(columns, model, result)
    return "/".join(sorted({verdict.value for verdict in verdicts.values()}))


def recheck(columns: Columns, model: str, result: CheckResult) -> None:
    """The orders that the verdict came with are legal, object by object."""
    objects = history_of_columns(columns).by_key()
    for label, order in (result.certificate or {}).items():
        inside = set(order)
        ops = next(ops for ops in objects.values() if any(op.invoke_index in inside for op in ops)) if order else []
        wrong = verify_order(ops, list(order), SPECIFICATIONS.get(MODELS[model], MODELS[model]))
        assert wrong is None, f"{label}: {wrong}"


def planted(model: str, seed: int) -> str:
    """One violation of the model, at random, is found."""
    chance = Random(f"{model}/planted/{seed}")
    violation = chance.choice(list(VIOLATIONS[model]))
    settings = replace(drawn(model, chance, least=200), info_rate=0.01, fail_rate=0.05)
    try:
        columns = plant(generate(settings), violation, model, seed)
    except ValueError:
        return "no place"
    results = judged(columns, model)
    verdicts = [result.verdict for result in results.values()]
    assert Verdict.INVALID in verdicts, f"{violation} of {settings} was not found: {verdicts}"
    if model not in TRANSACTIONS:
        reprove(columns, model, results["linearizable"])
    return "found"


def reprove(columns: Columns, model: str, result: CheckResult) -> None:
    """The witnesses that are small enough have no legal order by themselves. (A lock is taken without its tokens, of which the kinds speak.)"""
    history = history_of_columns(columns)
    for anomaly in result.anomalies:
        ops = history.operations()
        proof = named(anomaly, ops, str(anomaly))
        if len(proof) <= WITNESS and "token" not in anomaly.kind:
            legal = verify_witness(proof, SPECIFICATIONS.get(MODELS[model], MODELS[model]))
            assert legal is None, f"{anomaly} proves nothing: {legal} is legal"
        assert_shows(anomaly, proof, ops, str(anomaly))


FUZZ = {
    **{f"generated, {model}": partial(valid, model) for model in MODELS},
    **{f"planted, {model}": partial(planted, model) for model in VIOLATIONS},
}

if __name__ == "__main__":
    sys.exit(main([__spec__.name]))
