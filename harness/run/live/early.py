"""Early findings: what looks wrong while a run goes on, each as one sentence. Pure.

They are hints for a person who watches. They rest on single answers, and nothing that decides a verdict reads them: the checkers read the history.
Looked for are acknowledged values that a later linearizable read does not return, two acknowledgements of one index of the log, two leaders
of one term, and nodes that refuse connections, or stop themselves, while no fault touches them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ...systems.base import Op, Outcome

Hint = Callable[[str], None]

MOST_OF_A_KIND = 3
MOST_KEPT = 50_000
"""Acknowledged values and indices of the log in memory; of older ones nothing is found."""
AFTER_NS = 5_000_000_000
"""So long after its end a fault may still explain that a node refuses connections."""
REGISTERS, SETS = frozenset({"register"}), frozenset({"set", "set-full"})
"""Workloads in which every written value is unique, so that a read shows which writes it has missed."""

_S = 1_000_000_000
K = TypeVar("K")
V = TypeVar("V")


class _Recent(OrderedDict[K, V], Generic[K, V]):
    """The newest entries, by insertion."""

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        if len(self) > MOST_KEPT:
            self.popitem(last=False)


@dataclass(slots=True)
class _Touched:
    """The nodes that a fault names, and when it ended."""

    nodes: frozenset[str]
    ended_ns: int | None = None


class Early:
    """Early findings of one run; `notify` gets each as a sentence."""

    def __init__(self, notify: Hint) -> None:
        self._notify = notify
        self._found: dict[str, list[str]] = {}
        self._begun: dict[int | str, tuple[int, int | None]] = {}
        """By process: when its operation began, and the newest acknowledged write of its key by then (when that write began)."""
        self._newest: dict[tuple[str, Any], int] = {}
        self._written: _Recent[tuple[str, Any, Any], int] = _Recent()
        self._added: dict[tuple[str, Any], _Recent[Any, int]] = {}
        self._at_index: _Recent[int, str] = _Recent()
        self._leader: dict[int, str] = {}
        self._faults: dict[str, _Touched] = {}

    def invoked(self, now_ns: int, process: int | str, op: Op) -> None:
        self._begun[process] = (now_ns, self._newest.get((op.workload, _plain(op.key))))

    def completed(self, now_ns: int, process: int | str, node: str, op: Op, outcome: Outcome) -> None:
        begun_ns, newest_ns = self._begun.pop(process, (now_ns, None))
        if outcome.type == "ok" and op.workload in REGISTERS | SETS:
            self._acknowledged_once(now_ns, node, op, outcome)
            if op.f != "read":
                self._acknowledge(now_ns, begun_ns, op)
            elif op.level in (None, "linearizable") and not outcome.extra.get("stale"):
                self._read(now_ns, begun_ns, newest_ns, node, op, outcome.value)
        elif outcome.error == "no-connection" and "refused" in str(outcome.extra.get("message", "refused")).lower():
            self._refused(now_ns, node)

    def nemesis(self, now_ns: int, what: str, value: Mapping[str, Any]) -> None:
        """Learn which nodes faults touch."""
        fault = str(value.get("fault"))
        if what == "inject":
            self._faults[fault] = _Touched(frozenset(_names(value)))
        elif what == "healed" and fault in self._faults:
            self._faults[fault].ended_ns = now_ns
        elif what == "healed-all" or (what == "healed" and value.get("fault") is None):
            for touched in list(self._faults.values()):
                touched.ended_ns = touched.ended_ns or now_ns

    def traced(self, now_ns: int, line: Mapping[str, Any]) -> None:
        """Read a line of a node's trace, where it is known at once (in the simulator)."""
        node, term = str(line.get("node")), line.get("term")
        if line.get("event") == "halt":
            reason = str(line.get("reason") or "no reason given").partition("\n")[0]
            self._report(now_ns, "halt", f"{node} stopped itself: {reason}")
        elif line.get("event") == "leader" and isinstance(term, int):
            other = self._leader.setdefault(term, node)
            if other != node:
                self._report(now_ns, "leaders", f"two leaders in term {term}: {other} and {node}")

    def _report(self, now_ns: int, kind: str, text: str) -> None:
        found = self._found.setdefault(kind, [])
        if len(found) < MOST_OF_A_KIND and text not in found:
            found.append(text)
            more = "; further ones of this kind are not shown" if len(found) == MOST_OF_A_KIND else ""
            self._notify(f"early finding at {now_ns / _S:.1f} s: {text}{more}")

    def _acknowledged_once(self, now_ns: int, node: str, op: Op, outcome: Outcome) -> None:
        index, term = outcome.extra.get("log_index"), outcome.extra.get("term")
        if op.f == "read" or not isinstance(index, int):
            return
        text = f"{op.f} {_plain(op.key)} {_plain(op.value)} by {node}" + (f" (term {term})" if term else "")
        other = self._at_index.setdefault(index, text)
        if other != text:
            self._report(now_ns, "index", f"log index {index} was acknowledged twice: {other}, and {text}")

    def _acknowledge(self, now_ns: int, begun_ns: int, op: Op) -> None:
        name, value = (op.workload, _plain(op.key)), _plain(op.value)
        if op.workload in SETS:
            if op.f == "add":
                self._added.setdefault(name, _Recent())[value] = now_ns
            return
        if op.f == "cas" and isinstance(op.value, list) and len(op.value) == 2:
            value = _plain(op.value[1])
        self._written[(*name, value)] = now_ns
        self._newest[name] = max(begun_ns, self._newest.get(name, begun_ns))

    def _read(self, now_ns: int, begun_ns: int, newest_ns: int | None, node: str, op: Op, value: Any) -> None:
        name = (op.workload, _plain(op.key))
        if op.workload in SETS and isinstance(value, list):
            seen = set(map(_plain, value))
            missing = [
                (one, at_ns) for one, at_ns in self._added.get(name, {}).items() if at_ns < begun_ns and one not in seen
            ]
            if missing:
                one, at_ns = missing[0]
                more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
                reported = (
                    f"{name[1]}: {one}{more}, acknowledged at {at_ns / _S:.1f} s, is missing from a read through {node}"
                )
                self._report(now_ns, "lost", reported)
            return
        written_ns = self._written.get((*name, _plain(value)))
        if op.workload in REGISTERS and written_ns is not None and newest_ns is not None and written_ns < newest_ns:
            reported = f"{name[1]}: a read through {node} returned {_plain(value)}, although a later write was acknowledged before the read began"
            self._report(now_ns, "lost", reported)

    def _refused(self, now_ns: int, node: str) -> None:
        for touched in list(self._faults.values()):
            if node in touched.nodes and (touched.ended_ns is None or now_ns < touched.ended_ns + AFTER_NS):
                return
        self._report(
            now_ns, f"refused {node}", f"{node} refuses connections although no fault affects it: did its process exit?"
        )


def _plain(value: Any) -> Any:
    """The value, or its text where it cannot be looked up."""
    return value if isinstance(value, int | str | None) else repr(value)


def _names(value: Any) -> Iterator[str]:
    """Every text in a fault's description: names of nodes are among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)
