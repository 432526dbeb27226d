"""A mini-language for histories of transactions: a line each, in order of invocation, with the span of time it was open.

    p0 |--|        ax1 rx[1]          columns of the bar are positions: invoked at its left end, completed at its right one
    p1    |---|    rx[1] ay2

`ax1` appends 1 to x, `wx1` writes it, `rx[1 2]` read a list, `rx1` a value, `rx_` nothing yet. A line that ends in `fail` failed, in `info` is of
unknown outcome. A line without a bar is invoked and completed before the next one begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribulation.checkers import Budget, CheckResult, RunRecord, checker
from tribulation.histories import Event, History, Type

_LINE = re.compile(r"(?P<process>p\d+)\s*(?P<bar>\|-*\|)?\s*(?P<ops>.*)$")
_OP = re.compile(r"(?P<kind>[arw])(?P<key>[a-z])(?P<value>\[[\d ]*\]|-?\d+|_)")


@dataclass(frozen=True)
class Txn:
    process: int
    begin: int
    end: int
    ops: Sequence[Sequence[Any]]
    outcome: str = "ok"


def parse(text: str) -> list[Txn]:
    found = []
    lines = [line for line in text.splitlines() if line.strip()]
    indent = min(len(line) - len(line.lstrip()) for line in lines)
    for number, line in enumerate(lines):
        match = _LINE.match(line[indent:])
        assert match is not None, line
        ops = [_op(op) for op in _OP.finditer(match["ops"])]
        outcome = next((word for word in ("fail", "info") if match["ops"].rstrip().endswith(word)), "ok")
        begin, end = 1000 * number, 1000 * number + 500
        if match["bar"]:
            begin, end = match.start("bar"), match.end("bar") - 1
        found.append(Txn(int(match["process"][1:]), begin, end, ops, outcome))
    return found


def _op(match: re.Match[str]) -> list[Any]:
    kind = {"a": "append", "r": "r", "w": "w"}[match["kind"]]
    text = match["value"]
    value: Any = None if text == "_" else [int(part) for part in text[1:-1].split()] if text[0] == "[" else int(text)
    return [kind, match["key"], value]


def history(txns: Sequence[Txn]) -> History:
    """Invocations come before completions of the same moment: what touches is concurrent."""
    moments = [(txn.begin, 0, number) for number, txn in enumerate(txns)]
    moments += [(txn.end, 1, number) for number, txn in enumerate(txns) if txn.outcome != "open"]
    events = []
    for index, (_, done, number) in enumerate(sorted(moments)):
        txn = txns[number]
        kind = Type(txn.outcome) if done else Type.INVOKE
        ops = [
            [f, key, None if f == "r" and not (done and txn.outcome == "ok") else value] for f, key, value in txn.ops
        ]
        events.append(Event(index, index * 1_000_000, txn.process, kind, "txn", ops))
    return History(events)


def judge(name: str, txns: str | Sequence[Txn] | History, options: Mapping[str, Any] | None = None) -> CheckResult:
    """The answer of a checker on a story."""
    if isinstance(txns, str):
        txns = parse(txns)
    whole = txns if isinstance(txns, History) else history(txns)
    return checker(name).check(RunRecord(history=whole, options=options or {}), Budget())


def kinds(result: CheckResult) -> set[str]:
    return {anomaly.kind for anomaly in result.anomalies}
