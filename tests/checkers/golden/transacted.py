"""Random transactions, larger than those of which all orders can be tried, and bent: reads of values that were never written, of what was refused, of a part, or twice the same."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from random import Random

from ..transactions.random_txns import Shape, random_history
from ..transactions.stories import Txn

NOWHERE = 99
"""A value that is never written."""


def bent(name: str, lists: bool, seed: int) -> list[Txn]:
    random = Random(f"{name}/{seed}/golden")
    shape = Shape(
        lists=lists,
        transactions=random.choice((6, 14, 30)),
        processes=random.choice((2, 4)),
        keys=random.choice((1, 3)),
        wrong=random.choice((0.0, 0.15)),
        rmw=random.random() < 0.3,
        single=random.random() < 0.2,
        unknown=random.choice((0.0, 0.15)),
    )
    txns = random_history(random, shape)
    for _ in range(random.choice((0, 1, 1, 2))):
        place = random.randrange(len(txns))
        txns[place] = _bent(random, txns[place], lists)
    return txns


def _bent(random: Random, txn: Txn, lists: bool) -> Txn:
    roll = random.random()
    if roll < 0.15:
        return replace(txn, outcome=random.choice(("fail", "ok")))
    if roll < 0.25 and len(txn.ops) > 1:
        return replace(txn, ops=[*txn.ops[1:], txn.ops[0]])
    ops = [list(op) for op in deepcopy(txn.ops)]
    reads = [op for op in ops if op[0] == "r"]
    if not reads:
        # The same value is written again.
        return replace(txn, ops=[*ops, list(ops[-1])]) if roll < 0.6 else replace(txn, ops=[[*ops[0][:2], 1], *ops[1:]])
    read = random.choice(reads)
    if not lists:
        read[2] = random.choice((None, NOWHERE, 1, 2, 3))
        return replace(txn, ops=ops)
    held = list(read[2] or ())
    held = random.choice((held[:-1], held[1:], held[::-1], [*held, *held[:1]], [*held, NOWHERE], [*held, 1]))
    read[2] = held
    return replace(txn, ops=ops)
