"""Every way to a verdict against trying all orders, on random small histories. Fixed seeds; a failure prints the one to repeat."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from tribulation.checkers import Budget, RunRecord, Verdict, checker
from tribulation.checkers.base.budget import Meter
from tribulation.checkers.linearizability.registers.view import register_of
from tribulation.checkers.linearizability.search.problem import Problem, calls_of
from tribulation.checkers.linearizability.search.refutation import prove
from tribulation.checkers.linearizability.search.search import search
from tribulation.checkers.models.registers import RegisterModel
from tribulation.histories import Type, parse

from . import oracle, random_histories
from .object_zones import violation
from .witnesses import assert_proves

CASES = [
    (random_histories.unique_register, oracle.register, None),
    (random_histories.small_register, oracle.register, None),
    (random_histories.unique_set, oracle.whole_set, frozenset()),
    (random_histories.mutex, oracle.mutex, False),
    (random_histories.appends, oracle.sequence, ()),
]


def meter() -> Meter:
    return Meter.of(Budget(time_s=20))


@pytest.mark.parametrize(("fill", "apply", "initial"), CASES, ids=[case[0].__name__ for case in CASES])
def test_verdicts_equal_the_oracles(fill, apply, initial):
    """The checker's choice of method included; every violation is proven by the operations that it names."""
    seen: Counter[bool] = Counter()
    for seed in range(1200):
        random = Random(seed)
        history = random_histories.history(random, random.randrange(2, 9), random.randrange(1, 4), fill)
        ops = history.operations()
        if fill is random_histories.appends and not any(op.f == "append" for op in ops):
            continue
        expected = oracle.linearizable(ops, apply, initial)
        found = checker("linearizable").check(RunRecord(history=history, options={"exact": True}), Budget())
        if not any(op.type is Type.OK for op in ops):
            assert found.verdict is Verdict.UNKNOWN
            continue
        if all(op.f == "read" for op in ops):
            # Reads alone show no kind of object, so no value in them is wrong, and none is right.
            answered = any(op.type is Type.OK and op.result is not None for op in ops)
            assert found.verdict is (Verdict.UNKNOWN if answered else Verdict.VALID), f"seed {seed}: {ops}"
            continue
        assert found.verdict is (Verdict.VALID if expected else Verdict.INVALID), f"seed {seed}: {ops}"
        seen[expected] += 1
        if not expected:
            (anomaly,) = found.anomalies
            assert_proves(anomaly, ops, apply, initial, f"seed {seed}: {anomaly}\n{ops}")
    assert min(seen[True], seen[False]) > 100


def test_search_and_zones_equal_the_oracle_on_the_same_histories():
    """Zones may miss only what failed cas without an observed value show; the caller asks the search about those."""
    compared = 0
    for seed in range(3000):
        random = Random(seed)
        ops = random_histories.history(
            random, random.randrange(2, 10), random.randrange(1, 5), random_histories.unique_register
        ).operations()
        expected = oracle.linearizable(ops, oracle.register)
        model = RegisterModel()
        assert search(Problem(calls_of(ops, model), model, meter()), meter()).legal == expected, f"seed {seed}: {ops}"
        register = register_of(ops)
        legal = violation(register) is None
        if legal != expected:
            assert legal and register.silent_mismatches, f"seed {seed}: {ops}"
        compared += legal == expected
    assert compared > 2800


class EveryOrder(RegisterModel):
    """The same register, for the search that does not know that writes overwrite."""

    overwrites = False


def test_an_open_write_whose_value_is_there_hides_another():
    """The order is w1, w2, cas: the write of 2 by p0 changes nothing except that no operation can see the 1."""
    ops = parse("p1 w2  p4[w1 p2[w2 p1[c2>0 p0[w2 p1] p4] p0] p0[r p2] p0]0").operations()
    assert oracle.linearizable(ops, oracle.register)
    model = RegisterModel()
    assert search(Problem(calls_of(ops, model), model, meter()), meter()).legal


def test_no_order_is_lost_where_many_clients_write_few_values():
    """Legal by construction, and longer and more concurrent than the oracle can bear. One in a thousand has a write that hides another."""
    for seed in range(1200):
        random = Random(seed)
        ops = random_histories.legal_register(random, random.randrange(60, 120), random.randrange(5, 8), 4, 0.0)
        model = RegisterModel()
        assert search(Problem(calls_of(ops.operations(), model), model, meter()), meter()).legal, f"seed {seed}"


def test_the_search_agrees_with_the_search_of_every_order_on_changed_reads():
    seen: Counter[bool] = Counter()
    for seed in range(1500):
        random = Random(seed)
        clients, values, info_rate = random.randrange(4, 8), random.randrange(2, 4), random.choice([0.0, 0.0, 0.2])
        history = random_histories.legal_register(random, random.randrange(8, 30), clients, values, info_rate)
        ops = history.operations()
        reads = [at for at, op in enumerate(ops) if op.f == "read" and op.type is Type.OK]
        if not reads:
            continue
        at = random.choice(reads)
        changed = [*ops[:at], replace(ops[at], result=random.randrange(3)), *ops[at + 1 :]]
        model, plain = RegisterModel(), EveryOrder()
        legal = search(Problem(calls_of(changed, plain), plain, meter()), meter()).legal
        assert search(Problem(calls_of(changed, model), model, meter()), meter()).legal == legal, f"seed {seed}"
        seen[legal] += 1
    assert min(seen[True], seen[False]) > 100


def test_proofs_prove():
    """What a proof keeps of the history has no legal order by the oracle either, from any state that could have been before it."""
    proven = 0
    for seed in range(1500):
        random = Random(seed)
        ops = random_histories.history(
            random, random.randrange(3, 10), random.randrange(1, 5), random_histories.small_register
        ).operations()
        model = RegisterModel()
        calls = calls_of(ops, model)
        outcome = search(Problem(calls, model, meter()), meter())
        if outcome.legal:
            continue
        assert outcome.stuck_at is not None
        proof = prove(calls, model, outcome.stuck_at, meter())
        kept = [
            call.op if call.end is not None else replace(call.op, type=Type.INFO, complete_index=None, error=None)
            for call in proof.calls
        ]
        for start in [None] if proof.from_start else [None, 0, 1, 2, "another"]:
            assert not oracle.linearizable(kept, oracle.register, start), f"seed {seed}: {proof}"
        proven += 1
    assert proven > 500


def test_the_stuck_return_ends_a_prefix_without_an_order():
    """`stuck_at` claims that what comes after does not matter."""
    for seed in range(800):
        random = Random(seed)
        ops = random_histories.history(
            random, random.randrange(3, 9), random.randrange(1, 4), random_histories.small_register
        ).operations()
        model = RegisterModel()
        outcome = search(Problem(calls_of(ops, model), model, meter()), meter())
        if outcome.legal:
            continue
        assert outcome.stuck_at is not None
        prefix = [
            op
            if op.complete_index is not None and op.complete_index <= outcome.stuck_at
            else replace(op, type=Type.INFO, complete_index=None, error=None)
            for op in ops
            if (op.invoke_index < outcome.stuck_at and (op.complete_index or 0) <= outcome.stuck_at)
            or op.type is not Type.FAIL
        ]
        assert not oracle.linearizable(prefix, oracle.register), f"seed {seed}: {ops}"


def test_the_set_checker_agrees_with_the_oracle():
    """With reads that claim to be linearizable, its violations are exactly the histories without an order."""
    seen: Counter[bool] = Counter()
    for seed in range(1500):
        random = Random(seed)
        history = random_histories.history(
            random, random.randrange(2, 9), random.randrange(1, 4), random_histories.unique_set
        )
        if not checker("set").applies(RunRecord(history=history)):
            continue
        expected = oracle.linearizable(history.operations(), oracle.whole_set, frozenset())
        result = checker("set").check(RunRecord(history=history), Budget())
        assert (result.verdict is Verdict.INVALID) == (not expected), f"seed {seed}: {history.operations()}"
        seen[expected] += 1
    assert min(seen[True], seen[False]) > 300


def test_the_oracle_itself_on_known_cases():
    assert oracle.linearizable(parse("p0 w1 | p1 r_ p1 r1").operations(), oracle.register)
    assert not oracle.linearizable(parse("p0 w1 p1 r_").operations(), oracle.register)
    assert oracle.linearizable(parse("p0 w1? p1 r_ p1 r1").operations(), oracle.register)
    assert not oracle.linearizable(parse("p0 w1? p1 r1 p1 r_").operations(), oracle.register)
