"""The run as it goes, for a live view: outcomes and latency by node, rate, the highest term, how long nothing was ok. Pure.

It keeps counts for each second of the last half minute, so that an operation costs a few additions, however long the run is.
"""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

SECONDS = 30
_S = 1_000_000_000
_BARS = "▁▂▃▄▅▆▇█"
_LOW_MS, _DECADES = 1.0, 3.5
"""The lowest bar of a sparkline is a millisecond, the highest some three seconds."""
_DIGEST = re.compile(r"-[0-9a-f]{6}\.\d+$")
SILENT_NS = 1_000_000_000
"""A shorter time without an ok operation is not mentioned."""


class _Node:
    """One node: outcomes in all, and for each of the last seconds the number and the slowest of the ok ones."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.seconds: deque[list[int]] = deque(maxlen=SECONDS)

    def add(self, now_ns: int, kind: str, took_ns: int) -> None:
        self.counts[kind] += 1
        second = now_ns // _S
        if not self.seconds or self.seconds[-1][0] != second:
            self.seconds.append([second, 0, 0])
        if kind == "ok":
            self.seconds[-1][1] += 1
            self.seconds[-1][2] = max(self.seconds[-1][2], took_ns)

    def rate(self, now_ns: int) -> int:
        """Ok operations of the last full second."""
        return next((count for second, count, _ in self.seconds if second == now_ns // _S - 1), 0)

    def sparkline(self, now_ns: int) -> str:
        slowest = {second: took_ns for second, count, took_ns in self.seconds if count}
        last = now_ns // _S
        return "".join(_bar(slowest.get(second)) for second in range(max(0, last - SECONDS + 1), last + 1))


def _bar(took_ns: int | None) -> str:
    if took_ns is None:
        return " "
    level = math.log10(max(_LOW_MS, took_ns / 1e6) / _LOW_MS) / _DECADES
    return _BARS[min(len(_BARS) - 1, int(level * len(_BARS)))]


class Pulse:
    """Counts of one run, by outcome and by node."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._nodes: dict[str, _Node] = {}
        self._begun_ns: dict[int | str, int] = {}
        self._last_ok_ns = 0
        self._term = 0

    def invoked(self, now_ns: int, process: int | str) -> None:
        self._begun_ns[process] = now_ns

    def completed(self, now_ns: int, process: int | str, node: str | None, kind: str, extra: Mapping[str, Any]) -> None:
        self.counts[kind] += 1
        took_ns = now_ns - self._begun_ns.pop(process, now_ns)
        self._nodes.setdefault(node or "", _Node()).add(now_ns, kind, took_ns)
        if kind == "ok":
            self._last_ok_ns = max(self._last_ok_ns, now_ns)
        term = extra.get("term")
        if type(term) is int:
            self._term = max(self._term, term)

    def line(self, now_ns: int, load_ns: int, faults: Iterable[str]) -> str:
        """Everything in one short line: time of the load, outcomes, rate, active faults, silence."""
        at = f"{now_ns / _S:.0f} of {load_ns / _S:g} s" if now_ns < load_ns else f"{now_ns / _S:.0f} s"
        rate = sum(node.rate(now_ns) for node in self._nodes.values())
        parts = [at, *(f"{name} {self.counts[name]}" for name in ("ok", "fail", "info")), f"{rate} ok/s"]
        parts += [f"term {self._term}"] if self._term else []
        parts += [", ".join(sorted(_DIGEST.sub("", fault) for fault in faults)) or "no fault"]
        silent_ns = now_ns - self._last_ok_ns
        parts += [f"nothing ok for {silent_ns / _S:.1f} s"] if silent_ns > SILENT_NS and now_ns < load_ns else []
        return " · ".join(parts)

    def table(self, now_ns: int) -> list[str]:
        """A line for each node: outcomes, rate, and the slowest ok operation of each of the last seconds as a sparkline."""
        wide = max(map(len, self._nodes), default=0)
        return [
            f"{name:<{wide}}  ok {node.counts['ok']:>7} · fail {node.counts['fail']:>5} · info {node.counts['info']:>5}"
            f" · {node.rate(now_ns):>5} ok/s  {node.sparkline(now_ns)}"
            for name, node in sorted(self._nodes.items())
        ]

    def text(self, now_ns: int, load_ns: int, faults: Iterable[str]) -> str:
        """The line, and after it the table: a terminal shows both, anything else the line."""
        return "\n".join([self.line(now_ns, load_ns, faults), *self.table(now_ns)])
