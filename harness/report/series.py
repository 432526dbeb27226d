"""Figures over time: the lane of each operation, latency quantiles and rates in buckets. Pure; numpy in, lists out.

A *lane* belongs to one client. A process retires when one of its operations ends in info, and the client goes on under a new process number.
One row for each process would be hundreds of rows with a few operations, so processes that follow one another share a lane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tribulation.histories import Operation, Type

OUTCOMES = (Type.OK, Type.INFO, Type.FAIL)
QUANTILES = (50, 95, 99)
_BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_MOST_BUCKETS = 160


@dataclass(frozen=True, slots=True)
class Lanes:
    """`of` maps a process to its lane; `names[lane]` names its client."""

    of: Mapping[int | str, int]
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates per bucket of `bucket_s`: its middle in seconds, completions a second by outcome, and latencies of ok operations in ms (None: no such)."""

    bucket_s: float
    middle_s: Sequence[float]
    per_s: Mapping[str, Sequence[float]] = field(default_factory=dict)
    latency_ms: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


def lanes(operations: Sequence[Operation], end_ns: int) -> Lanes:
    """Assign lanes to processes, first come, first served, workload by workload."""
    lives: dict[int | str, tuple[str, int, int]] = {}
    for op in operations:
        until_ns = end_ns if op.complete_ns is None else op.complete_ns
        workload, from_ns, last_ns = lives.get(op.process, (op.workload or "", op.invoke_ns, 0))
        lives[op.process] = (workload, from_ns, max(last_ns, until_ns))
    of: dict[int | str, int] = {}
    names: list[str] = []
    for workload in dict.fromkeys(life[0] for life in lives.values()):
        free_at: list[tuple[int, int]] = []
        for process, (home, from_ns, until_ns) in lives.items():
            if home == workload:
                of[process] = _seat(free_at, from_ns, until_ns, first=len(names))
        names += [f"{workload} {seat + 1}".strip() for seat in range(len(free_at))]
    return Lanes(of, names)


def _seat(free_at: list[tuple[int, int]], from_ns: int, until_ns: int, first: int) -> int:
    """The lane that has been free for the shortest time, whose process has just retired; a new one when all are taken."""
    free = [(since_ns, seat) for since_ns, seat in free_at if since_ns <= from_ns]
    if free:
        since_ns, seat = max(free)
        free_at.remove((since_ns, seat))
    else:
        seat = len(free_at) + first
    free_at.append((until_ns, seat))
    return seat


def rates(operations: Sequence[Operation], end_ns: int) -> Rates:
    """Completions a second and latency quantiles, by time of completion. Operations that never completed are in neither."""
    done = [op for op in operations if op.complete_ns is not None]
    bucket_s = next((size for size in _BUCKETS_S if end_ns / 1e9 / size <= _MOST_BUCKETS), _BUCKETS_S[-1])
    count = max(1, int(end_ns / 1e9 / bucket_s) + 1)
    middle_s = [round((bucket + 0.5) * bucket_s, 6) for bucket in range(count)]
    if not done:
        return Rates(bucket_s, middle_s)
    at_ns = np.array([op.complete_ns for op in done], dtype=np.int64)
    took_ns = at_ns - np.array([op.invoke_ns for op in done], dtype=np.int64)
    outcome = np.array([OUTCOMES.index(op.type) for op in done])
    bucket = np.clip((at_ns / 1e9 / bucket_s).astype(np.int64), 0, count - 1)
    per_s = {
        kind.value: [round(float(n) / bucket_s, 3) for n in np.bincount(bucket[outcome == number], minlength=count)]
        for number, kind in enumerate(OUTCOMES)
    }
    return Rates(bucket_s, middle_s, per_s, _quantiles(bucket[outcome == 0], took_ns[outcome == 0], count))


def _quantiles(bucket: Any, took_ns: Any, count: int) -> dict[str, list[float | None]]:
    lines: dict[str, list[float | None]] = {f"p{quantile}": [None] * count for quantile in QUANTILES}
    if not len(bucket):
        return lines
    order = np.argsort(bucket, kind="stable")
    bucket, took_ns = bucket[order], took_ns[order]
    present, starts = np.unique(bucket, return_index=True)
    for at, chunk in zip(present, np.split(took_ns, starts[1:]), strict=True):
        for quantile, ms in zip(QUANTILES, np.percentile(chunk / 1e6, QUANTILES), strict=True):
            lines[f"p{quantile}"][int(at)] = round(float(ms), 4)
    return lines


def chosen(operations: Sequence[Operation], most: int, always: frozenset[int]) -> list[Operation]:
    """Choose the operations to draw, at most about `most`: those whose invocation is in `always`, then those that are not ok, then the others.

    Of a group that does not fit, every k-th is drawn.
    """
    if len(operations) <= most:
        return list(operations)
    proof = [at for at, op in enumerate(operations) if op.invoke_index in always]
    known = set(proof)
    not_ok = [at for at, op in enumerate(operations) if op.type is not Type.OK and at not in known]
    ok = [at for at, op in enumerate(operations) if op.type is Type.OK and at not in known]
    drawn = proof
    for group in (not_ok, ok):
        drawn = drawn + _regular(group, most - len(drawn))
    return [operations[at] for at in sorted(drawn)]


def _regular(group: list[int], room: int) -> list[int]:
    """Every k-th of a group, so that at most `room` are left."""
    return group[:: -(-len(group) // room)] if group and room > 0 else []
