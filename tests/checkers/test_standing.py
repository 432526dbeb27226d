"""What an answer rests on: every checker says it, and what stands without the end of a history is a violation in every continuation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from checkers import CHECKERS, Anomaly, Budget, RunRecord, Verdict, checker
from checkers.standing import EVERY, HISTORY, LEDGER, TRACE, Standing
from histories import History

from . import random_histories
from .golden import transacted, workloads
from .structures.objects import cases as structures
from .transactions.stories import history as history_of

SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in (Path(__file__).parents[2] / "checkers").rglob("*.py"))


@pytest.mark.parametrize("name", CHECKERS)
def test_every_checker_says_what_its_answers_rest_on(name):
    found = checker(name)
    assert isinstance(found, Standing)
    assert found.reads and found.reads <= {HISTORY, TRACE, LEDGER}
    assert found.needs.keys() <= found.reads
    for kinds in found.needs.values():
        if kinds is not EVERY:
            assert isinstance(kinds, set | frozenset)
            # Once where it is made, and once where it is said to fall; some are put together of two words.
            assert all(SOURCES.count(kind.removeprefix("SB1-")) > 1 for kind in kinds), kinds


def test_a_checker_asks_for_the_parts_that_its_anomalies_are_argued_from():
    lost, double = Anomaly("lost-write", (), ""), Anomaly("duplicated", (), "")
    assert not checker("set").stands_without(lost, HISTORY) and checker("set").stands_without(double, HISTORY)
    assert checker("set").stands_without(lost, LEDGER)
    assert not checker("availability").stands_without(Anomaly("slow-recovery", (), ""), LEDGER)


def continued(name: str, record: RunRecord, random: Random) -> tuple[int, int]:
    """Of some beginnings: how many are violations that stand without the end, and in how many the whole is one as well."""
    found, events = checker(name), record.history.events
    added = [str(op.argument) for op in record.history.operations() if op.f == "add"]
    if not found.applies(record) or (name == "set" and len(set(added)) < len(added)):
        # Of elements that are added twice `set` judges less.
        return 0, 0
    violated = kept = 0
    for _ in range(4):
        part = History(events[: random.randrange(len(events) + 1)])
        told = (
            found.check(replace(record, history=part), Budget())
            if found.applies(replace(record, history=part))
            else None
        )
        if told is None or not any(found.stands_without(anomaly, HISTORY) for anomaly in told.anomalies):
            continue
        violated += 1
        kept += found.check(record, Budget()).verdict is Verdict.INVALID
    return violated, kept


def assert_kept(name: str, records: list[RunRecord], least: int = 5) -> None:
    random = Random(f"{name}/beginnings")
    pairs = [(record, continued(name, record, random)) for record in records]
    wrong = [list(record.history.events) for record, (violated, kept) in pairs if violated != kept]
    assert not wrong, wrong[0]
    assert sum(violated for _, (violated, _) in pairs) >= least


@pytest.mark.parametrize("shop", workloads.SHOPS)
def test_of_workloads(shop):
    for name in workloads.SHOPS[shop][1]:
        assert_kept(name, [workloads.record(shop, seed) for seed in range(60)], least=0)


@pytest.mark.parametrize("case", structures(10))
def test_of_structures(case):
    _, make, _, _ = structures(10)[case]
    assert_kept("linearizable", [RunRecord(make(Random(f"{case}/{seed}"))) for seed in range(30)], least=0)


@pytest.mark.parametrize("fill", [random_histories.unique_register, random_histories.small_register])
def test_of_registers(fill):
    drawn = [random_histories.history(Random(f"{fill.__name__}/{seed}"), 10, 3, fill) for seed in range(60)]
    assert_kept("linearizable", [RunRecord(history) for history in drawn])


@pytest.mark.parametrize(
    ("name", "lists", "level"),
    [
        ("list-append", True, "serializable"),
        ("list-append", True, "strict-serializable"),
        ("list-append", True, "snapshot-isolation"),
        ("rw-register", False, "serializable"),
        ("rw-register", False, "strict-serializable"),
        ("causal", False, "causal"),
        ("read-atomic", True, "read-atomic"),
        ("read-committed", False, "read-committed"),
        ("session-guarantees", True, "read-your-writes"),
        ("sequential-keys", False, "sequential-keys"),
        ("write-skew", False, "serializable"),
    ],
)
def test_of_transactions(name, lists, level):
    drawn = [history_of(transacted.bent(name, lists, seed)) for seed in range(80)]
    assert_kept(name, [RunRecord(history, options={"consistency": level}) for history in drawn], least=0)
