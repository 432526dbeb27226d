"""What is judged: random histories of all parts of the fuzz and runs of the tiny Raft, by name, and the answer to each seed of each.

Everything follows from the seed. Histories are larger than those of which all orders can be tried: the answers are not proven here, only kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from random import Random
from typing import Any

from benchmarks.generators import MODELS, VIOLATIONS, generate, plant
from tribulation.checkers import Budget, CheckResult, RunRecord, checker
from tribulation.checkers.base.budget import Meter
from tribulation.checkers.linearizability.search.problem import Problem, calls_of
from tribulation.checkers.linearizability.search.refutation import prove
from tribulation.checkers.linearizability.search.search import search
from tribulation.checkers.models.model import Model
from tribulation.checkers.models.named import MutexModel, SequenceModel
from tribulation.checkers.models.registers import RegisterModel
from tribulation.checkers.models.structures import CounterModel, ElementModel, QueueModel, SetModel
from tribulation.histories import History

from .. import fuzz_generated, random_histories
from ..structures.objects import cases as structures
from ..structures.objects import elements
from ..transactions import fuzz as transactions
from ..transactions.random_txns import Shape, random_history
from ..transactions.stories import judge
from . import reported_lines, traced, transacted, workloads
from .compact import answer


@dataclass(frozen=True)
class Case:
    """The answers to seeds 0 .. `seeds` - 1. Those of one `file` are stored together."""

    file: str
    seeds: int
    answer: Callable[[int], str]


def reported(results: Iterable[CheckResult]) -> str:
    """One after the other; `=` is the same answer as before, `-` none."""
    answers = [answer(result) for result in results]
    return " / ".join("=" if place and one == answers[place - 1] else one for place, one in enumerate(answers)) or "-"


def of_checkers(record: RunRecord, *names: str) -> str:
    """The answers of those that apply."""
    found = [checker(name) for name in names]
    return reported(one.check(record, Budget()) for one in found if one.applies(record))


def _drawn(fill: random_histories.Fill, most: int, seed: int) -> History:
    random = Random(f"{fill.__name__}/{seed}")
    return random_histories.history(random, random.randrange(2, most), random.randrange(1, 5), fill)


def _object(fill: random_histories.Fill, most: int, seed: int) -> str:
    record = RunRecord(history=_drawn(fill, most, seed), options={"exact": True, "certificate": True})
    return of_checkers(record, "linearizable", "set")


def _structure(case: str, most: int, seed: int) -> str:
    structure, make, _, _ = structures(most)[case]
    record = RunRecord(history=make(Random(f"{case}/{most}/{seed}")), options={"exact": True, "certificate": True})
    return of_checkers(record, "linearizable", structure if structure != "set" else "set-full")


def _transactions(name: str, seed: int) -> str:
    case = transactions.CASES[name]
    txns = case.make(Random(f"{name}/{seed}"))
    return answer(judge(case.checker, txns, {"consistency": case.level, **case.options} if case.level else {}))


def _many_transactions(name: str, level: str, shape: Shape, seed: int) -> str:
    txns = random_history(Random(f"{name}/{level}/{seed}"), shape)
    return answer(judge(name, txns, {"consistency": level}))


def _bent(name: str, lists: bool, seed: int) -> str:
    """At one level after the other."""
    levels = BENT[name]
    return answer(judge(name, transacted.bent(name, lists, seed), {"consistency": levels[seed % len(levels)]}))


def _valid(model: str, seed: int) -> str:
    chance = Random(f"golden/{model}/{seed}")
    columns = generate(fuzz_generated.drawn(model, chance))
    level = chance.choice(LEVELS) if model in fuzz_generated.TRANSACTIONS else None
    return reported(fuzz_generated.judged(columns, model, level).values())


def _planted(model: str, seed: int) -> str:
    chance = Random(f"golden/planted/{model}/{seed}")
    violation = list(VIOLATIONS[model])[seed % len(VIOLATIONS[model])]
    try:
        columns = plant(generate(fuzz_generated.drawn(model, chance, least=200)), violation, model, seed)
    except ValueError:
        return "no place"
    return reported(fuzz_generated.judged(columns, model).values())


def _traced(name: str, seed: int) -> str:
    return of_checkers(_run(seed), name)


_run = cache(traced.run)


def _keyed(seed: int) -> str:
    options = {"exact": seed % 2 == 0, "certificate": True}
    return of_checkers(RunRecord(history=workloads.keyed(seed), options=options), "linearizable")


def _workload(name: str, checkers: Sequence[str], seed: int) -> str:
    return of_checkers(workloads.record(name, seed), *checkers)


def _reported_lines(name: str, seed: int) -> str:
    return of_checkers(reported_lines.record(name, seed), reported_lines.BY_NAME[name][1])


def _searched(name: str, seed: int) -> str:
    """What the general search looked at until it knew, and the proof that is made of a history without an order: how it goes about matters for time alone."""
    make, model = SEARCHED[name]
    ops = make(seed).operations()
    whole = Meter(20, 2000)
    calls = calls_of(ops, model)
    outcome = search(Problem(calls, model, whole), whole)
    # All that was counted is given back, but for what a search that ended early still holds.
    left = whole._bytes
    if outcome.legal:
        return f"V {outcome.configurations} {left}"
    proof = prove(calls, model, outcome.stuck_at or 0, Meter(20, 2000))
    kept = ",".join(f"{call.op.invoke_index}{'' if call.end is not None else '?'}" for call in proof.calls)
    return f"I {outcome.configurations} {left} stuck {outcome.stuck_at}: {kept} {proof.from_start}"


def _world(case: str, seed: int) -> History:
    return structures(16)[case][1](Random(f"{case}/searched/{seed}"))


def _element(seed: int) -> History:
    return elements(1, ("add", "remove", "contains"), 0.2, 20)(Random(f"element/searched/{seed}"))


SEARCHED: dict[str, tuple[Callable[[int], History], Model]] = {
    "registers searched": (partial(_drawn, random_histories.small_register, 16), RegisterModel()),
    "linked registers searched": (partial(_drawn, random_histories.linked_register, 16), RegisterModel()),
    "locks searched": (partial(_drawn, random_histories.mutex, 16), MutexModel()),
    "lists searched": (partial(_drawn, random_histories.appends, 12), SequenceModel()),
    "queues searched": (partial(_world, "queue-again"), QueueModel()),
    "counters searched": (partial(_world, "counter-deltas"), CounterModel()),
    "sets searched": (partial(_world, "set-all"), SetModel()),
    "elements searched": (_element, ElementModel()),
}
"""Name → histories, and the model that judges them."""

LEVELS = ("serializable", "strict-serializable", "snapshot-isolation", "strong-session-serializable", "causal")
BENT: dict[str, tuple[str, ...]] = {
    "list-append": LEVELS,
    "rw-register": LEVELS,
    "causal": ("causal",),
    "read-atomic": ("read-atomic",),
    "read-committed": ("read-committed",),
    "session-guarantees": transactions.GUARANTEES,
    "sequential-keys": ("sequential-keys",),
    "write-skew": ("serializable",),
}
"""Checker of transactions → the levels that it is asked for."""

FILLS = (
    random_histories.unique_register,
    random_histories.linked_register,
    random_histories.small_register,
    random_histories.unique_set,
    random_histories.mutex,
    random_histories.appends,
)
WHITE_BOX = {
    "raft-safety": 300,
    "split-brain": 200,
    "quorum": 300,
    "convergence": 60,
    "availability": 60,
    "recovery": 160,
    "vacuity": 40,
}
"""Checker → runs."""
LARGE: dict[str, Any] = {"transactions": 14, "processes": 4, "keys": 3, "wrong": 0.15}


def _cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for fill in FILLS:
        found[fill.__name__] = Case("objects", 80, partial(_object, fill, 12))
    found["registers by key"] = Case("objects", 60, _keyed)
    for name in structures(10):
        found[f"{name}, few"] = Case("structures", 20, partial(_structure, name, 10))
        found[f"{name}, many"] = Case("structures", 30, partial(_structure, name, 26))
    for name in transactions.CASES:
        found[name] = Case("transactions", 24, partial(_transactions, name))
    for name in SEARCHED:
        found[name] = Case("searched", 60, partial(_searched, name))
    for kind in ("list-append", "rw-register"):
        shape = Shape(lists=kind == "list-append", **LARGE)
        for level in LEVELS:
            found[f"{kind}, {level}, many"] = Case("transactions", 24, partial(_many_transactions, kind, level, shape))
    for name in BENT:
        for lists in {"list-append": (True,), "rw-register": (False,)}.get(name, (True, False)):
            found[f"bent {'lists' if lists else 'registers'}, {name}"] = Case(
                "transactions", 40, partial(_bent, name, lists)
            )
    for model in MODELS:
        found[f"generated {model}"] = Case("generated", 5, partial(_valid, model))
    for model in VIOLATIONS:
        found[f"planted {model}"] = Case("generated", 8, partial(_planted, model))
    for name, (_, checkers) in workloads.SHOPS.items():
        found[name] = Case("workloads", 40, partial(_workload, name, checkers))
    for name in reported_lines.BY_NAME:
        found[name] = Case("workloads", 40, partial(_reported_lines, name))
    for name, seeds in WHITE_BOX.items():
        found[name] = Case("traced", seeds, partial(_traced, name))
    return found


CASES = _cases()
