"""The same rules as `tribulation.checkers.linearizability.registers.zones`, one object after the other and one register at a time: what the arrays are compared with.

Every value has one writer. A cas from a to b makes b the direct successor of a, so values form *chains*; all operations of a chain are
contiguous in any legal order, and their order inside it is given. What remains are intervals (Gibbons & Korach, "Testing shared memories",
1997, here with cas and with operations of unknown outcome):

* the *zone* of a chain lies between its first return f and its last invocation s. If f < s it is *forward*: the register held the chain's
  values during all of [f, s]. Otherwise it is *backward*: all its operations were open during (s, f);
* a legal order exists exactly if no two forward zones overlap and no backward zone lies inside a forward one.

Operations of unknown outcome whose value was not observed are dropped: they are optional. Those that were observed happened, at an unknown end.
It does not see failed cas that do not say what they saw instead; the caller asks the general search about those.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from tribulation.checkers.linearizability.registers.view import Access, Register, Violation
from tribulation.checkers.models.registers import cas_operands
from tribulation.histories import Type


@dataclass(slots=True)
class _Chain:
    """Groups in order: a writer, its value's readers, the next writer … with the zone over all of them."""

    accesses: list[list[Access]]
    values: list[Hashable]
    first_end: Access
    last_start: Access

    @property
    def forward(self) -> bool:
        return self.first_end.end < self.last_start.start


def violation(register: Register) -> Violation | None:
    """Why `register` (whose values must be unique) has no legal order; None when it has one."""
    wrong = _impossible_mismatch(register)
    if wrong is not None:
        return wrong
    writers = {value: access for access in register.accesses for value in access.writes}
    writers[register.initial] = Access(None, -1.0, -1.0, (), (register.initial,))
    observed = _observed(register, writers)
    if isinstance(observed, Violation):
        return observed
    kept = [access for access in register.accesses if access.end < inf or access.writes[0] in observed]
    chains = _chains(kept, writers, register.initial)
    if isinstance(chains, Violation):
        return chains
    for chain in chains:
        broken = _order_inside(chain)
        if broken is not None:
            return broken
    return _zones(chains, register.initial)


def _impossible_mismatch(register: Register) -> Violation | None:
    for access in register.accesses:
        op = access.op
        if op is not None and op.type is Type.FAIL and access.reads == (cas_operands(op)[0],):
            return Violation("false-mismatch", (access,), access.reads)
    return None


def _observed(register: Register, writers: dict[Hashable, Access]) -> set[Hashable] | Violation:
    """Values that certainly were in the register, or the read of one that cannot have been."""
    observed: set[Hashable] = set()
    todo: list[tuple[Hashable, Access]] = []
    for access in register.accesses:
        if access.end < inf:
            todo += [(value, access) for value in access.reads + access.writes]
    while todo:
        value, reader = todo.pop()
        if value in observed:
            continue
        writer = writers.get(value)
        if writer is None:
            kind = "aborted-read" if value in register.failed else "thin-air"
            return Violation(kind, (reader,), (value,))
        observed.add(value)
        todo += [(before, writer) for before in writer.reads]
    return observed


def _chains(kept: Sequence[Access], writers: dict[Hashable, Access], initial: Hashable) -> list[_Chain] | Violation:
    successor: dict[Hashable, Access] = {}
    readers: dict[Hashable, list[Access]] = {}
    roots: list[Hashable] = [initial]
    for access in kept:
        if not access.writes:
            readers.setdefault(access.reads[0], []).append(access)
        elif access.reads:
            other = successor.setdefault(access.reads[0], access)
            if other is not access:
                return Violation("lost-update", (other, access), access.reads)
        else:
            roots.append(access.writes[0])
    chains = []
    reached = 0
    for root in roots:
        groups: list[list[Access]] = []
        values: list[Hashable] = []
        value = root
        while True:
            values.append(value)
            groups.append([writers[value]])
            groups.append(readers.get(value, []))
            if value not in successor:
                break
            value = successor[value].writes[0]
        reached += len(values)
        members = [access for group in groups for access in group]
        if len(members) > 1 or root != initial:
            first_end = min(members, key=lambda access: access.end)
            chains.append(_Chain(groups, values, first_end, max(members, key=lambda access: access.start)))
    if reached < len(roots) + len(successor):
        return _cycle(successor, {value for chain in chains for value in chain.values})
    return chains


def _cycle(successor: dict[Hashable, Access], reached: set[Hashable]) -> Violation:
    """Some cas follow each other in a circle."""
    start = next(value for value in successor if value not in reached)
    seen: dict[Hashable, int] = {}
    path: list[Access] = []
    value = start
    while value not in seen:
        seen[value] = len(path)
        path.append(successor[value])
        value = successor[value].writes[0]
    cycle = path[seen[value] :]
    return Violation("cas-cycle", tuple(cycle), tuple(access.reads[0] for access in cycle))


def _order_inside(chain: _Chain) -> Violation | None:
    """An operation that must come before another of its chain, but began after that one returned."""
    ends = [min(group, key=lambda access: access.end, default=None) for group in chain.accesses]
    earliest_after: list[Access | None] = [None] * (len(ends) + 1)
    for i in range(len(ends) - 1, -1, -1):
        here, later = ends[i], earliest_after[i + 1]
        earliest_after[i] = here if later is None or (here is not None and here.end < later.end) else later
    latest: Access | None = None
    latest_at = 0
    for i, group in enumerate(chain.accesses):
        for access in group:
            if latest is None or access.start > latest.start:
                latest, latest_at = access, i
        after = earliest_after[i + 1]
        if latest is not None and after is not None and latest.start > after.end:
            return _inside(chain, latest, latest_at, after)
    return None


def _inside(chain: _Chain, late: Access, late_at: int, early: Access) -> Violation:
    value = chain.values[late_at // 2]
    if early.reads == (value,) and late.writes == (value,):
        return Violation("future-read", (early, late), (value,))
    newer = early.writes or early.reads
    between = chain.values[late_at // 2 + 1 : chain.values.index(newer[0]) + 1]
    # A chain may be long; its first and last link from the old value to the newer one show the order.
    writers = [chain.accesses[2 * chain.values.index(new)][0] for new in dict.fromkeys((between[0], between[-1]))]
    proof = [access for access in (chain.accesses[late_at // 2 * 2][0], *writers, early, late) if access.op is not None]
    return Violation("chain-order", tuple(dict.fromkeys(proof)), (value, newer[0]))


def _zones(chains: Sequence[_Chain], initial: Hashable) -> Violation | None:
    forward = sorted((chain for chain in chains if chain.forward), key=lambda chain: chain.first_end.end)
    for one, other in pairwise(forward):
        if other.first_end.end < one.last_start.start:
            return _conflict("zones-overlap", one, other)
    begins = [chain.first_end.end for chain in forward]
    for chain in chains:
        if chain.forward:
            continue
        at = bisect_left(begins, chain.last_start.start) - 1
        if at >= 0 and forward[at].last_start.start > chain.first_end.end:
            return _conflict("zone-inside", forward[at], chain)
    return None


def _conflict(kind: str, outer: _Chain, inner: _Chain) -> Violation:
    accesses = (outer.first_end, outer.last_start, inner.first_end, inner.last_start)
    values = (_value_at(outer, outer.last_start), _value_at(inner, inner.first_end))
    return Violation(kind, accesses, values)


def _value_at(chain: _Chain, access: Access) -> Hashable:
    return (access.reads or access.writes)[0]
