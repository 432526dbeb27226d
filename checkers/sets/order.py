"""Grow-only sets with whole reads: the legal order follows from the sizes of the reads, in time linear in all elements read.

In a legal order the reads grow: sorted by size they are a chain by inclusion. So the order is: what the first read contains, that read, what the next
contains in addition, that read … and at the end what was added and never read. It is legal exactly if no operation in it began after a later one had
returned. Elements must be added at most once each. An add of unknown outcome that no read shows is dropped.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribulation.histories import Operation, Type, canonical


@dataclass(slots=True)
class WholeSet:
    """One set's operations. `adds`: element → operation that may have added it; `failed`: element → operation that did not."""

    adds: dict[Hashable, Operation] = field(default_factory=dict)
    failed: dict[Hashable, Operation] = field(default_factory=dict)
    reads: list[tuple[Operation, frozenset[Hashable]]] = field(default_factory=list)
    repeated: dict[Hashable, tuple[Operation, Operation]] = field(default_factory=dict)


def whole_set(ops: Sequence[Operation]) -> WholeSet:
    found = WholeSet()
    for op in ops:
        if op.f == "add":
            element = canonical(op.argument)
            if op.type is Type.FAIL:
                found.failed.setdefault(element, op)
            elif element in found.adds:
                found.repeated.setdefault(element, (found.adds[element], op))
            else:
                found.adds[element] = op
        elif op.f == "read" and op.type is Type.OK:
            found.reads.append((op, elements_of(op)))
    return found


def elements_of(read: Operation) -> frozenset[Hashable]:
    """Return the elements of a whole read; null is the empty set."""
    value: Any = read.result
    return frozenset() if value is None else frozenset(canonical(element) for element in value)


@dataclass(frozen=True, slots=True)
class Disorder:
    """Reason why no legal order exists. For `order`: `late` began after `early` returned, although it must precede it because of `element`.

    If both are adds, `shown_by` is a read that contains what `late` adds and lacks `element`, which `early` adds.

    For `incomparable`: `late` lacks `element`, which `early` contains, and contains `other`, which `early` lacks. For `unwritten`: `late` contains
    `element`.
    """

    kind: str
    late: Operation
    early: Operation | None
    element: Hashable
    other: Hashable = None
    shown_by: Operation | None = None


def disorder(found: WholeSet) -> Disorder | None:
    """Return why these operations have no legal order; None when they have one. Elements must be added at most once."""
    for read, elements in found.reads:
        for element in elements:
            if element not in found.adds:
                return Disorder("unwritten", read, None, element)
    reads = sorted(found.reads, key=lambda item: (len(item[1]), item[0].invoke_index))
    groups: list[list[Operation]] = []
    shows: list[frozenset[Hashable]] = []
    known: frozenset[Hashable] = frozenset()
    for read, elements in reads:
        if not known <= elements:
            smaller = next(op for op, other in reads if other == known)
            missing, extra = min(known - elements, key=repr), min(elements - known, key=repr)
            return Disorder("incomparable", read, smaller, missing, extra)
        if elements != known or not groups:
            groups.append([found.adds[element] for element in elements - known])
            groups.append([])
            shows += [elements, elements]
        groups[-1].append(read)
        known = elements
    groups.append([op for element, op in found.adds.items() if element not in known and op.type is Type.OK])
    shows.append(known.union(canonical(op.argument) for op in groups[-1]))
    return _check(groups, shows)


def _check(groups: list[list[Operation]], shows: list[frozenset[Hashable]]) -> Disorder | None:
    """Return where the order of groups contradicts real time: every earlier operation must begin before any later one has returned."""
    soonest: list[tuple[float, Operation, int] | None] = [None] * (len(groups) + 1)
    for i in range(len(groups) - 1, -1, -1):
        best = soonest[i + 1]
        for op in groups[i]:
            if op.complete_index is not None and (best is None or op.complete_index < best[0]):
                best = (op.complete_index, op, i)
        soonest[i] = best
    latest: tuple[Operation, int] | None = None
    for i, group in enumerate(groups):
        for op in group:
            if latest is None or op.invoke_index > latest[0].invoke_index:
                latest = (op, i)
        after = soonest[i + 1]
        if latest is not None and after is not None and latest[0].invoke_index > after[0]:
            return _order(latest, after, groups, shows)
    return None


def _order(
    latest: tuple[Operation, int],
    after: tuple[float, Operation, int],
    groups: list[list[Operation]],
    shows: list[frozenset[Hashable]],
) -> Disorder:
    late, at = latest
    early = after[1]
    if early.f == "add":
        # A group of adds is followed directly by the group of reads that show them.
        shown_by = groups[at + 1][0] if late.f == "add" else None
        return Disorder("order", late, early, canonical(early.argument), shown_by=shown_by)
    if late.f == "add":
        return Disorder("order", late, early, canonical(late.argument))
    return Disorder("order", late, early, min(shows[after[2]] - shows[at], key=repr))
