"""Explanation of a cycle: each step with the reason why one transaction comes before the next, in words and as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...base.wording import show
from ..table.naming import Report, key_text, name, read_text
from ..table.table import APPEND, OPEN, READ, Table
from ..table.versions import ATOMIC, DATA, PROCESS, REALTIME, RESTS_ON, SUFFIX, Versions
from .components import Core
from .cycles import CLASSES, Cycle
from .dependencies import KIND_NAMES, RT, RW, SESSION, WR, WW
from .paths import BY_REALTIME, Walk
from .zone_order import zones

MEANING = {
    "G0": "each overwrote the one before it, in a circle (dirty write)",
    "G1c": "information flowed in a circle",
    "G-single": "one of them missed a write that it should have seen (read skew)",
    "G-nonadjacent": "they saw states that no single snapshot explains",
    "G2-item": "each missed a write of another (write skew)",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction before another. `why` is a clause; `evidence` are further transactions that it rests on."""

    source: int
    target: int
    kind: int
    key: int
    basis: int
    why: str
    evidence: tuple[int, ...] = ()


class Explainer:
    """Wording of the steps of cycles over one history."""

    def __init__(self, versions: Versions, lists: bool) -> None:
        self.versions = versions
        self.table: Table = versions.table
        self.lists = lists
        self._by_version = _Index(versions.read_version)
        self._by_mop = _Index(versions.read_mop)
        self._by_writer = _Index(versions.writer)
        self._zones: tuple[Any, Any] | None = None

    def add(self, cycle: Cycle, report: Report) -> str:
        """Add the cycle to the report. Returns the name under which it is reported, by its actual steps."""
        walks = (list(self.steps(cycle.part, walk)) for walk in (cycle.walk, *cycle.others))
        steps = min(walks, key=_involved)
        anomaly = _classify(steps)
        first = [step.source for step in steps]
        among = ", ".join(name(self.table, txn) for txn in first)
        clauses = "; ".join(f"({number}) {step.why}" for number, step in enumerate(steps, start=1))
        base = anomaly.removesuffix("-process").removesuffix("-realtime")
        said = f"{among} cannot be put in any order: {clauses}. So {' before '.join(name(self.table, txn) for txn in [*first, first[0]])}: {MEANING[base]}."
        report.add(
            anomaly,
            [*first, *(txn for step in steps for txn in step.evidence)],
            said,
            cycle=[name(self.table, txn) for txn in first],
            steps=[
                {
                    "from": name(self.table, step.source),
                    "to": name(self.table, step.target),
                    "kind": KIND_NAMES[step.kind],
                    "key": self.table.key_name(step.key) if step.key >= 0 else None,
                    "rests_on": RESTS_ON[step.basis],
                    "why": step.why,
                }
                for step in steps
            ],
        )
        return anomaly

    def steps(self, part: Core, walk: Walk) -> Iterator[Step]:
        """Yield the steps of the cycle without helpers. Successive steps of one process, or of real time, are joined."""
        raw = list(_between_transactions(part, walk, len(self.table)))
        joined: list[tuple[int, int, int, int, int]] = []
        for step in raw:
            if joined and step[2] in (SESSION, RT) and joined[-1][2] == step[2]:
                joined[-1] = (joined[-1][0], step[1], *joined[-1][2:])
            else:
                joined.append(step)
        if len(joined) > 1 and joined[0][2] == joined[-1][2] and joined[0][2] in (SESSION, RT):
            last = joined.pop()
            joined[0] = (last[0], *joined[0][1:])
        for source, target, kind, key, basis in joined:
            yield self._step(source, target, kind, key, basis)

    def _step(self, source: int, target: int, kind: int, key: int, basis: int) -> Step:
        if kind == RT:
            why = (
                f"{name(self.table, source)} completed at index {int(self.table.complete[source])}, before {name(self.table, target)} "
                f"was invoked at index {self.table.index(target)}"
            )
            return Step(source, target, kind, -1, REALTIME, why)
        if kind == SESSION:
            process = (
                self.table.columns.processes[int(self.table.process[source])] if self.table.columns.processes else "?"
            )
            why = f"process {process} did {name(self.table, source)} before {name(self.table, target)}"
            return Step(source, target, kind, -1, PROCESS, why)
        reason = {WW: self._overwrote, WR: self._observed, RW: self._missed}[kind](source, target, key, basis)
        return Step(source, target, kind, key, basis, *reason)

    def _observed(self, source: int, target: int, key: int, basis: int) -> tuple[str, tuple[int, ...]]:
        read = self._read_of(target, key, source)
        verb = "appended" if self.lists else "wrote"
        wrote = int(self.versions.mop[self._version_read(read)])
        return (
            f"{name(self.table, target)} read {read_text(self.table, read, self.lists)}, "
            f"whose {show(self._value(wrote))} {name(self.table, source)} {verb}",
            (),
        )

    def _overwrote(self, source: int, target: int, key: int, basis: int) -> tuple[str, tuple[int, ...]]:
        before, after = self._pair(source, target, key, basis)
        verb = "appended" if self.lists else "wrote"
        what = f"{name(self.table, target)} {verb} {self._version_text(after)} to {key_text(self.table, key)} after {name(self.table, source)} {verb} {self._version_text(before)}"
        reason, evidence = self._reason(before, after, basis)
        return what + reason, evidence

    def _missed(self, source: int, target: int, key: int, basis: int) -> tuple[str, tuple[int, ...]]:
        read = self._first_read(source, key)
        before = self._version_read(read)
        if self.lists:
            after = self._written(target, key)
            return (
                f"{name(self.table, source)} read {read_text(self.table, read, True)}, which misses {name(self.table, target)}'s append of {self._version_text(after)}",
                (),
            )
        after = self._written(target, key)
        reason, evidence = self._reason(before, after, basis)
        return (
            f"{name(self.table, source)} read {read_text(self.table, read, False)}, which {name(self.table, target)} replaced by {self._version_text(after)}{reason}",
            evidence,
        )

    def _reason(self, before: int, after: int, basis: int) -> tuple[str, tuple[int, ...]]:
        """Return why one version of a register comes before another, and the transactions that show it. For lists the longest read shows it."""
        if self.lists and basis == ATOMIC:
            who = name(self.table, int(self.versions.writer[before]))
            return f" ({who} had read the list before, and would else have missed {self._version_text(after)})", ()
        if self.lists or bool(self.versions.initial[before]):
            return "", ()
        if basis == DATA:
            writer = int(self.versions.writer[after])
            return (
                f" ({name(self.table, writer)} read {self._version_text(before)} and then wrote {self._version_text(after)})",
                (),
            )
        if basis in (ATOMIC, PROCESS):
            return self._seen(before, after, basis)
        early, late = self._witnesses(before, after)
        return (
            f" ({self._met(early, before)} and completed at index {int(self.table.complete[early])}, "
            f"before {self._met(late, after)}, invoked at index {self.table.index(late)})",
            (early, late),
        )

    def _seen(self, before: int, after: int, basis: int) -> tuple[str, tuple[int, ...]]:
        """Describe a process that read the later version with the writer of the earlier one in its past."""
        writer = int(self.versions.writer[before])
        readers = self._members(after)[1:]
        direct = [txn for txn in readers if txn != writer and writer in self._read_from(txn)]
        same = [txn for txn in readers if self._knew(txn, before)]
        if direct:
            said = f"{name(self.table, direct[0])} saw {name(self.table, writer)}, and still read {self._version_text(after)}"
            return f" ({said})", (direct[0],)
        if same:
            return f" (the process of {name(self.table, same[0])} had met {self._version_text(before)} before)", (
                same[0],
            )
        if basis == PROCESS and readers:
            said = (
                f"with {name(self.table, writer)} in their causal past, others still read {self._version_text(after)}"
            )
            return f" ({said}: {', '.join(name(self.table, txn) for txn in readers[:3])})", tuple(readers[:1])
        both = sorted(self._read_by(before) & self._read_by(after))
        if both:
            return f" ({name(self.table, both[0])} read them in this order)", (both[0],)
        return " (one process met them in this order)", ()

    def _read_by(self, version: int) -> set[int]:
        return {int(self.versions.read_txn[place]) for place in self._by_version.of(version)}

    def _read_from(self, txn: int) -> set[int]:
        low, high = int(self.table.offsets[txn]), int(self.table.offsets[txn + 1])
        places = [place for mop in range(low, high) for place in self._by_mop.of(mop)]
        return {int(self.versions.writer[self.versions.read_version[place]]) for place in places}

    def _knew(self, txn: int, version: int) -> bool:
        """Return whether the process of a transaction saw the version before it."""
        table = self.table
        return any(
            table.process[other] == table.process[txn] and table.invoke[other] < table.invoke[txn]
            for other in self._members(version)
        )

    def _met(self, txn: int, version: int) -> str:
        verb = "wrote" if int(self.versions.writer[version]) == txn else "read"
        return f"{name(self.table, txn)} {verb} {self._version_text(version)}"

    def _witnesses(self, before: int, after: int) -> tuple[int, int]:
        """Return the operation of one version that completed first, and that of the other that was invoked last."""
        if self._zones is None:
            self._zones = zones(self.versions)
        first, last = self._zones
        table = self.table
        writers = int(self.versions.writer[before]), int(self.versions.writer[after])
        if int(table.complete[writers[0]]) < int(table.invoke[writers[1]]):
            return writers
        early = [txn for txn in self._members(before) if int(table.complete[txn]) == int(first[before])]
        late = [txn for txn in self._members(after) if int(table.invoke[txn]) == int(last[after])]
        return early[0], late[0]

    def _members(self, version: int) -> list[int]:
        places = self._by_version.of(version)
        readers = [
            int(self.versions.read_txn[place])
            for place in places
            if self.versions.groups.first[self.versions.read_mop[place]]
        ]
        return [int(self.versions.writer[version]), *readers]

    def _pair(self, source: int, target: int, key: int, basis: int) -> tuple[int, int]:
        if not self.lists:
            return self._written(source, key), self._written(target, key)
        pairs = self.versions
        known = (pairs.writer[pairs.pair_before] == source) & (pairs.writer[pairs.pair_after] == target)
        place = int(np.flatnonzero(known & (pairs.key[pairs.pair_after] == key))[0])
        return int(pairs.pair_before[place]), int(pairs.pair_after[place])

    def _written(self, txn: int, key: int) -> int:
        """Return the version that a transaction wrote: the last of a register, the first of a list."""
        mine = np.sort(self._by_writer.of(txn))
        versions = mine[self.versions.key[mine] == key]
        if self.lists:
            return int(versions[0])
        return next(int(version) for version in versions if self.versions.groups.final[self.versions.mop[version]])

    def _read_of(self, reader: int, key: int, writer: int) -> int:
        for mop in self._reads(reader, key):
            if int(self.versions.writer[self._version_read(mop)]) == writer:
                return mop
        raise AssertionError(f"transaction {reader} has no read of key {key} from {writer}")

    def _first_read(self, reader: int, key: int) -> int:
        return next(iter(self._reads(reader, key)))

    def _reads(self, txn: int, key: int) -> Iterator[int]:
        low, high = int(self.table.offsets[txn]), int(self.table.offsets[txn + 1])
        for mop in range(low, high):
            if self.table.kind[mop] == READ and self.table.key[mop] == key and len(self._by_mop.of(mop)):
                yield mop

    def _version_read(self, mop: int) -> int:
        return int(self.versions.read_version[self._by_mop.of(mop)[0]])

    def _version_text(self, version: int) -> str:
        mop = int(self.versions.mop[version])
        return "the initial value" if mop < 0 else show(self._value(mop))

    def _value(self, mop: int) -> Any:
        return self.table.value_name(int(self.table.value[mop])) if mop >= 0 else None


class _Index:
    """Places by value."""

    def __init__(self, values: npt.NDArray[Any]) -> None:
        self._order = np.argsort(values, kind="stable")
        self._sorted = values[self._order]

    def of(self, value: int) -> npt.NDArray[np.int64]:
        low, high = np.searchsorted(self._sorted, value, "left"), np.searchsorted(self._sorted, value, "right")
        found: npt.NDArray[np.int64] = self._order[low:high]
        return found


def _involved(steps: list[Step]) -> int:
    return len({txn for step in steps for txn in (step.source, *step.evidence)})


def _between_transactions(part: Core, walk: Walk, transactions: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (source, target, kind, key, basis) of each step; a path through helpers belongs to the step that entered them."""
    nodes = [int(part.node[node]) for node in walk.nodes]
    edges = part.edges
    entered: tuple[int, int, int, int] | None = None
    for place, edge in enumerate(walk.edges):
        if entered is None:
            if edge == BY_REALTIME:
                entered = (nodes[place], RT, -1, REALTIME)
            else:
                entered = (nodes[place], int(edges.kind[edge]), int(edges.key[edge]), int(edges.basis[edge]))
        if nodes[place + 1] < transactions:
            source, kind, key, basis = entered
            yield source, nodes[place + 1], kind, key, basis
            entered = None


def _classify(steps: list[Step]) -> str:
    """Return the class of the actual steps, which is never milder than the one that was searched."""
    strongest = max((step.basis for step in steps), default=DATA)
    rw = [step.kind == RW for step in steps]
    inferred = any(step.basis > DATA and step.kind == WW for step in steps)
    if not any(rw):
        severity = 2 if inferred else int(any(step.kind == WR for step in steps))
    elif sum(rw) == 1:
        severity = 2
    else:
        severity = 4 if any(one and rw[place - 1] for place, one in enumerate(rw)) else 3
    return CLASSES[severity] + SUFFIX[strongest]


__all__ = ["APPEND", "OPEN", "Explainer", "Step"]
