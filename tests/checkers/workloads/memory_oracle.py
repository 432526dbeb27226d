"""What agent memory may show in the end, by its definition: every order of the operations and everything that each of them may have seen is tried.

An operation is (what, place or None, first, last, doubtful): `add` of an element, `write` of a text, `delete` of the record; it takes effect between `first` and `last`, a doubtful one at any
time after `first`, or never. A write replaces the texts that it has seen and a deletion removes all that it has seen; what each has seen are operations before it, and with each of them
all that that one had seen. Nothing of this is shared with the checker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product


@dataclass(frozen=True)
class Deed:
    what: str
    value: str | None
    first: int
    last: int
    doubtful: bool = False


def outcomes(deeds: Sequence[Deed]) -> set[frozenset[str]]:
    """All sets of elements and texts that a node may show which has seen everything."""
    found = set()
    sure = [deed for deed in deeds if not deed.doubtful]
    unsure = [deed for deed in deeds if deed.doubtful]
    for chosen in product((False, True), repeat=len(unsure)):
        happened = [*sure, *(deed for deed, yes in zip(unsure, chosen, strict=True) if yes)]
        for order in permutations(happened):
            if _possible(order):
                found.update(_shown(order))
    return found


def _possible(order: Sequence[Deed]) -> bool:
    """Whether times can be found: none is placed after one that began when it had ended."""
    return all(later.doubtful or later.last > earlier.first for at, later in enumerate(order) for earlier in order[:at])


def _shown(order: Sequence[Deed]) -> Iterator[frozenset[str]]:
    for seen in _views(order, 0, ()):
        gone = set()
        for at, deed in enumerate(order):
            for other in seen[at]:
                replaced = deed.what == "write" and order[other].what == "write"
                if replaced or deed.what == "delete":
                    gone.add(other)
        yield frozenset(deed.value for at, deed in enumerate(order) if deed.value is not None and at not in gone)


def _views(order: Sequence[Deed], at: int, before: tuple[frozenset[int], ...]) -> Iterator[tuple[frozenset[int], ...]]:
    """For each operation what it has seen: any that are before it, closed under what those have seen."""
    if at == len(order):
        yield before
        return
    for bits in product((False, True), repeat=at):
        seen = frozenset(i for i, yes in enumerate(bits) if yes)
        if all(before[i] <= seen for i in seen):
            yield from _views(order, at + 1, (*before, seen))
