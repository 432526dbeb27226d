"""Checker `fencing-tokens`: a resource that has accepted a token accepts no smaller one, and locks are issued with growing tokens.

At the resource there are two sources: `fence` lines in the trace of the node that holds it (`resource`, `token`, `accepted`, `holder`), whose order is that in which the
resource decided; and `access` operations (key: the resource; value: the token), of which only those count that do not overlap. At the lock: ok `acquire` (or `elect`) operations, whose
result is the token. A smaller token that was rejected is fencing at work; it is counted.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tribulation.histories import Operation, Type, canonical

from ...base.conclusion import all_of, conclude, sentence
from ...base.findings import Findings
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import Bool, by_object, may_have, object_of, of
from ...base.wording import describe, indices, ms_between, show
from ...traces import columns
from ...traces.traces import Line, excerpt, read_traces
from ..overtaking import overtaken

ACCESS, ACQUIRES, FENCE = "access", ("acquire", "elect"), "fence"


class FencingTokensChecker:
    name = "fencing-tokens"
    operations = frozenset({ACCESS, *ACQUIRES, "release", "resign"})

    def applies(self, record: RunRecord) -> bool:
        return any(_tokens(record)) or FENCE in columns.events(record.traces)

    def judged(self, record: RunRecord) -> Bool:
        """Return the operations of locks that issue tokens, and of resources that are accessed with them."""
        columns = record.history.columns
        objects, tokens = object_of(columns), [op.invoke_index for op in _tokens(record)]
        return of(columns, *self.operations) & np.isin(objects, objects[np.isin(columns.invoke, tokens)])

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        findings = Findings()
        stats = dict.fromkeys(("issued", "accepted", "turned_away", "resources"), 0)
        doubts = _at_resources(record, findings, stats)
        for (_, key), ops in by_object(record).items():
            _accesses(key, [op for op in ops if op.f == ACCESS], findings, stats)
            _issues(key, [op for op in ops if op.f in ACQUIRES], findings, stats)
            doubts += _without_token(ops)
        if not stats["accepted"] and not stats["issued"]:
            doubts.append("no token was issued or accepted")
        return conclude(self.name, findings, stats, all_of(doubts))


def _tokens(record: RunRecord) -> Iterator[Operation]:
    if not may_have(record, ACCESS, *ACQUIRES):
        return
    for op in record.history.operations():
        if op.f == ACCESS or (op.f in ACQUIRES and op.type is Type.OK and _is_token(op.result)):
            yield op


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _without_token(ops: Sequence[Operation]) -> list[str]:
    """Return a doubt if some answers of a lock or resource have a token and others have none."""
    ok = [(op, op.argument if op.f == ACCESS else op.result) for op in ops if op.type is Type.OK]
    mine = [(op, token) for op, token in ok if op.f == ACCESS or op.f in ACQUIRES]
    without = [(op, token) for op, token in mine if not _is_token(token)]
    if not without or len(without) == len(mine):
        return []
    op, token = without[0]
    return [
        f"the {op.f} of history index {op.invoke_index} has {show(token)}, which is not a token: tokens are integers"
    ]


def _at_resources(record: RunRecord, findings: Findings, stats: dict[str, int]) -> list[str]:
    """Judge a resource's own decisions, in order, over all lives of its node: it must not forget what it accepted."""
    doubts: list[str] = []
    highest: dict[tuple[str, Hashable], Line] = {}
    broken: set[str] = set()
    for incarnation in read_traces(record):
        for line in columns.of(incarnation.lines, (FENCE,)):
            if incarnation.gaps:
                broken.add(incarnation.node)
            place = (incarnation.node, canonical(line["resource"]))
            before = highest.get(place)
            if not line["accepted"]:
                stats["turned_away"] += 1
                continue
            stats["accepted"] += 1
            if before is None or line["token"] >= before["token"]:
                highest[place] = line
                continue
            forgot = before["incarnation"] != line["incarnation"]
            text = (
                f"resource {show(line['resource'])} at {incarnation.node} accepted token {line['token']} of {show(line.get('holder'))} after "
                f"token {before['token']} of {show(before.get('holder'))}{_gap(before, line)}"
            )
            text += ", which it had forgotten when it was started again" if forgot else ""
            details = {"resource": line["resource"], "traces": [excerpt(before), excerpt(line)]}
            findings.add("fence-violated", sentence(text), details=details)
    stats["resources"] = len(highest)
    doubts += [f"lines are missing from the trace of {node}" for node in sorted(broken)]
    return doubts


def _gap(before: Line, line: Line) -> str:
    if before["incarnation"] != line["incarnation"]:
        return ""
    return f", {(line['mono_ns'] - before['mono_ns']) / 1e6:g} ms later"


def _accesses(resource: Hashable, ops: Sequence[Operation], findings: Findings, stats: dict[str, int]) -> None:
    """Judge accesses that ended ok: of two that do not overlap, the later one's token must not be smaller."""
    stats["turned_away"] += sum(op.type is Type.FAIL for op in ops)
    accepted = [op for op in ops if op.type is Type.OK and _is_token(op.argument)]
    stats["accepted"] += len(accepted)
    for before, after in overtaken([(op, op.argument) for op in accepted]):
        text = (
            f"resource {show(resource)} accepted token {after.argument} although token {before.argument} had been accepted "
            f"{ms_between(before, after):g} ms earlier: {describe(before)}; {describe(after)}"
        )
        _add(findings, "fence-violated", [before, after], text, {"resource": resource})


def _issues(lock: Hashable, ops: Sequence[Operation], findings: Findings, stats: dict[str, int]) -> None:
    issued = [op for op in ops if op.type is Type.OK and _is_token(op.result)]
    stats["issued"] += len(issued)
    holders: dict[int, Operation] = {}
    for op in issued:
        first = holders.setdefault(op.result, op)
        if first is not op:
            text = f"token {op.result} of lock {show(lock)} was issued twice: {describe(first)}; {describe(op)}"
            _add(findings, "token-reused", [first, op], text, {"lock": lock, "token": op.result})
    for before, after in overtaken([(op, op.result) for op in issued]):
        text = (
            f"lock {show(lock)} issued token {after.result} {ms_between(before, after):g} ms after token {before.result} had been issued: "
            f"{describe(before)}; {describe(after)}"
        )
        _add(findings, "token-not-growing", [before, after], text, {"lock": lock})


def _add(findings: Findings, kind: str, ops: Sequence[Operation], text: str, details: Mapping[str, Any]) -> None:
    findings.add(kind, sentence(text), ops=indices(ops), details=details)
