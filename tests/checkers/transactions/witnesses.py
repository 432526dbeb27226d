"""Checks of witnesses: the transactions that an anomaly names must be illegal by the oracle too, alone or with what others read and wrote.

A cycle of transactions rests on the order of versions, which reads of others may have shown. These others are taken apart then: every operation is a
transaction of its own, by a process that did nothing else, open all the time. Of what they were only that remains which they read and wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tribulation.checkers import Anomaly

from .stories import Txn, history

SHOWING = frozenset({"dirty-update"})
"""Kinds that no level forbids by what they show alone: they say why what follows is wrong."""


def assert_proves(anomaly: Anomaly, txns: Sequence[Txn], holds: Callable[[Sequence[Txn]], bool], apart: bool) -> None:
    """`apart`: few enough orders are possible that `holds` can be asked about others taken apart; else they are believed."""
    proof = named(anomaly, txns)
    if anomaly.kind in SHOWING or not holds(proof):
        return
    others = [txn for txn in txns if txn not in proof]
    assert others, f"{anomaly} proves nothing: {txns}"
    assert not apart or not holds([*proof, *pieces(others)]), f"{anomaly} proves nothing: {txns}"


def named(anomaly: Anomaly, txns: Sequence[Txn]) -> list[Txn]:
    """The witness: each of its indices is that of an invocation, and none is there twice."""
    in_order = sorted(txns, key=lambda txn: txn.begin)
    by_index = {op.invoke_index: txn for op, txn in zip(history(txns).operations(), in_order, strict=True)}
    assert anomaly.ops and len(set(anomaly.ops)) == len(anomaly.ops), f"{anomaly} of {txns}"
    assert set(anomaly.ops) <= set(by_index), f"{anomaly} names what is not there: {txns}"
    assert anomaly.explanation, txns
    return [by_index[index] for index in anomaly.ops]


def pieces(txns: Sequence[Txn]) -> list[Txn]:
    """Operations as transactions of their own. What failed is none."""
    return [
        Txn(1000 + 10 * number + place, -1, 10**9, [op], txn.outcome)
        for number, txn in enumerate(txns)
        for place, op in enumerate(txn.ops)
        if txn.outcome != "fail"
    ]
