"""Generated histories: valid ones raise nothing, planted violations are found with few operations, and compiled loops agree with plain ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tribulation.checkers import Budget, CheckResult, RunRecord, Verdict, checker
from tribulation.checkers.transactions.table.registers import register_versions
from tribulation.checkers.transactions.table.table import transactions
from tribulation.checkers.transactions.weak.causal_clocks import causal_edges
from tribulation.checkers.transactions.weak.observed import observe
from tribulation.checkers.transactions.weak.weak_levels import causal_order
from tribulation.histories.model.columns import Columns
from tribulation.histories.model.rows import history_of_columns

from .generate import Spec, aborted_read, list_append, rw_register, stale_read

MAKE = {"list-append": list_append, "rw-register": rw_register}
WEAK = ("read-committed", "read-atomic", "causal")


def check(name: str, columns: Columns, **options: str) -> CheckResult:
    return checker(name).check(RunRecord(history=history_of_columns(columns), options=options), Budget())


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("seed", range(40))
def test_valid_histories_raise_nothing(name: str, seed: int) -> None:
    spec = Spec(
        transactions=300,
        clients=2 + seed % 17,
        keys=1 + seed % 7,
        per_key=8 + 8 * (seed % 5),
        info=0.03 * (seed % 3),
        rmw=0.5 * (seed % 3),
        seed=seed,
    )
    columns = MAKE[name](spec)
    assert check(name, columns).verdict is Verdict.VALID
    for level in WEAK:
        assert check(level, columns).verdict is Verdict.VALID
    assert check("sequential-keys", columns).verdict is Verdict.VALID
    assert check("session-guarantees", columns).verdict is Verdict.VALID


@pytest.mark.parametrize("name", MAKE)
def test_a_planted_stale_read_is_found_with_few_operations(name: str) -> None:
    result = check(name, stale_read(MAKE[name](Spec(transactions=20_000))))
    assert result.verdict is Verdict.INVALID
    first = result.anomalies[0]
    assert first.kind == "G-single-realtime" and len(first.ops) <= 3


@pytest.mark.parametrize("name", MAKE)
def test_a_planted_aborted_read_is_found(name: str) -> None:
    result = check(name, aborted_read(MAKE[name](Spec(transactions=20_000))))
    assert "G1a" in {anomaly.kind for anomaly in result.anomalies}
    assert all(len(anomaly.ops) <= 6 for anomaly in result.anomalies)


@pytest.mark.parametrize("name", MAKE)
def test_time_grows_no_faster_than_sorting(name: str) -> None:
    """By the number of edges, which does not depend on how busy the machine is: linear, at high concurrency too."""
    edges = [
        check(name, MAKE[name](Spec(transactions=count, clients=200))).stats["edges"] / count
        for count in (5_000, 40_000)
    ]
    assert edges[1] < 1.2 * edges[0] + 1


def test_compiled_clocks_agree_with_plain_ones_in_blocks_of_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = rw_register(Spec(transactions=600, clients=12, keys=5, info=0.05))
    observed = observe(register_versions(transactions(columns)))
    order = causal_order(observed)
    assert order is not None
    found = []
    for steps, block in ((10**12, 128), (10**12, 7), (0, 128), (0, 5)):
        monkeypatch.setattr("tribulation.checkers.transactions.weak.causal_clocks.WORTH_COMPILING", steps)
        edges = causal_edges(observed, order, block)
        found.append(sorted(zip(edges.before.tolist(), edges.after.tolist(), strict=True)))
    assert found[0] == found[1] == found[2] == found[3]
    assert found[0]


def test_the_same_history_gives_the_same_answer() -> None:
    columns = stale_read(rw_register(Spec(transactions=3_000)))
    one, other = check("rw-register", columns), check("rw-register", columns)
    assert one == other


def test_a_history_without_a_clock_is_judged_by_its_sessions() -> None:
    columns = list_append(Spec(transactions=500))
    timeless = replace(columns, invoke_ns=np.full(len(columns), -1, np.int64))
    assert check("list-append", timeless).stats["level"] == "strong-session-serializable"
    strict = check("list-append", timeless, consistency="strict-serializable")
    assert strict.verdict is Verdict.UNKNOWN and "no clock" in (strict.reason or "")
