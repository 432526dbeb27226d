"""Violations of single objects: one operation in the middle of a history returns what it cannot have returned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tribulation.histories.model.columns import FAIL, INFO, NONE_ID, OK, OPEN, Columns

from .changes import Plant, before, code, middle, precedes, with_list, with_new_value, with_result


def stale_read(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read returns a value that was overwritten, by a write that had completed, before the read began."""
    for row in middle(columns, chance, "read"):
        writes = before(columns, row, "write")
        if not len(writes):
            continue
        last = writes[-1]
        older = writes[columns.complete[writes] < columns.invoke[last]]
        if len(older):
            return with_result(columns, row, int(columns.argument[older[-1]]))
    return None


def lost_write(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read finds the register empty although writes had completed."""
    for row in middle(columns, chance, "read"):
        if len(before(columns, row, "write")):
            return with_result(columns, row, NONE_ID)
    return None


def aborted_read(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read returns what a failed write would have written."""
    failed = np.flatnonzero((columns.f == code(columns, "write")) & (columns.type == FAIL))
    for row in middle(columns, chance, "read"):
        earlier = failed[(failed < row) & (columns.key[failed] == columns.key[row])]
        if len(earlier):
            return with_result(columns, row, int(columns.argument[earlier[-1]]))
    return None


def future_read(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read returns what was written only after it had returned."""
    writes = np.flatnonzero((columns.f == code(columns, "write")) & (columns.type == OK))
    for row in middle(columns, chance, "read"):
        later = writes[(columns.invoke[writes] > columns.complete[row]) & (columns.key[writes] == columns.key[row])]
        if len(later):
            return with_result(columns, row, int(columns.argument[later[0]]))
    return None


def double_cas(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """Two cas found the same value, which the first of them had replaced before the second began: an update is lost."""
    for row in middle(columns, chance, "cas"):
        earlier = before(columns, row, "cas")
        if not len(earlier):
            continue
        found, _ = columns.lists.row(int(columns.argument_list[earlier[-1]]))
        _, new = columns.lists.row(int(columns.argument_list[row]))
        changed = with_list(columns, row, np.array([found, new]))
        argument = columns.argument_list.copy()
        argument[row] = changed.result_list[row]
        return replace(changed, argument_list=argument)
    return None


def thin_air(name: str) -> Plant:
    """An operation returns a value that was never put in."""

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        for row in middle(columns, chance, name):
            if columns.result[row] != NONE_ID:
                changed, value = with_new_value(columns)
                return with_result(changed, row, value)
        return None

    return into


def taken_twice(name: str) -> Plant:
    """An element is removed a second time."""

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        earlier = None
        for row in middle(columns, chance, name):
            if columns.result[row] == NONE_ID:
                continue
            if earlier is not None:
                return with_result(columns, row, int(columns.result[earlier]))
            earlier = row
        return None

    return into


def lost_element(put: str, take: str) -> Plant:
    """A removal finds nothing although an element had been put in, which is never removed.

    Only where no removal of unknown outcome had begun: it might have taken the element.
    """

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        puts = np.flatnonzero((columns.f == code(columns, put)) & (columns.type == OK))
        ended = dict(zip(columns.argument[puts].tolist(), columns.complete[puts].tolist(), strict=True))
        takes = columns.f == code(columns, take)
        doubtful = columns.invoke[takes & (columns.type == INFO)]
        certain_to = int(doubtful[0]) if len(doubtful) else OPEN
        for row in np.flatnonzero(takes & (columns.type == OK) & (columns.complete < certain_to)).tolist():
            element = int(columns.result[row])
            if element != NONE_ID and ended.get(element, OPEN) < columns.invoke[row]:
                return with_result(columns, row, NONE_ID)
        return None

    return into


def swapped(put: str, take: str, first_in: bool | None) -> Plant:
    """Two removals, one after the other, return each other's elements, which both were in before.

    `first_in` says which of the two must have been put in first for this to be wrong: the one that was removed first (a queue), the other one (a
    stack), or None for neither.
    """

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        puts = np.flatnonzero((columns.f == code(columns, put)) & (columns.type == OK))
        put_of = dict(zip(columns.argument[puts].tolist(), puts.tolist(), strict=True))
        for row in middle(columns, chance, take):
            for other in before(columns, row, take)[-50:].tolist():
                pair = put_of.get(int(columns.result[other])), put_of.get(int(columns.result[row]))
                first, second = pair
                if first is None or second is None or not all(precedes(columns, one, other) for one in (first, second)):
                    continue
                if first_in is None or precedes(columns, *((first, second) if first_in else (second, first))):
                    return with_result(
                        with_result(columns, row, int(columns.result[other])), other, int(columns.result[row])
                    )
        return None

    return into


def low_sum(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read of a counter returns 0 although adds had completed."""
    for row in middle(columns, chance, "read"):
        if len(before(columns, row, "add")):
            return with_result(columns, row, 1)
    return None


def high_sum(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read of a counter returns more than all adds that had begun."""
    for row in middle(columns, chance, "read"):
        changed = replace(columns, values=[*columns.values, len(columns)])
        return with_result(changed, row, len(columns.values))
    return None


def missing_element(put: str) -> Plant:
    """A read of a set or a list lacks an element that had been put in."""

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        for row in middle(columns, chance, "read"):
            items = columns.lists.row(int(columns.result_list[row]))
            added = set(columns.argument[before(columns, row, put)].tolist())
            kept = [place for place, item in enumerate(items.tolist()) if item in added]
            if kept:
                return with_list(columns, row, np.delete(items, kept[-1]))
        return None

    return into


def phantom_element(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read of a set or a list returns an element that was never added."""
    for row in middle(columns, chance, "read"):
        changed, value = with_new_value(columns)
        return with_list(changed, row, np.append(columns.lists.row(int(columns.result_list[row])), value))
    return None


def turned_list(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read of a list has its last two elements in the other order; another read has both as well."""
    whole = np.diff(columns.lists.offsets)
    for row in middle(columns, chance, "read"):
        items = columns.lists.row(int(columns.result_list[row]))
        if len(items) >= 2 and (whole >= len(items)).sum() >= 2:
            return with_list(columns, row, np.concatenate([items[:-2], items[:-3:-1]]))
    return None


def repeated_item(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read of a list has an element twice."""
    for row in middle(columns, chance, "read"):
        items = columns.lists.row(int(columns.result_list[row]))
        if len(items):
            return with_list(columns, row, np.append(items, items[0]))
    return None


def answered(value: bool) -> Plant:
    """Plant a wrong answer to `contains`: True before the element's add began, or False after its add ended and before its removal began."""

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        for row in middle(columns, chance, "contains"):
            same = columns.argument == columns.argument[row]
            adds, removals = (same & (columns.f == code(columns, name)) for name in ("add", "remove"))
            begun = bool((columns.invoke[adds] < columns.complete[row]).any())
            inside = bool((columns.complete[adds & (columns.type == OK)] < columns.invoke[row]).any())
            gone = bool((columns.invoke[removals] < columns.complete[row]).any())
            if (not begun) if value else (inside and not gone):
                return with_result(columns, row, next(at for at, found in enumerate(columns.values) if found is value))
        return None

    return into


def second_holder(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A lock is acquired a second time where it should have been released."""
    for row in middle(columns, chance, "release"):
        f = columns.f.copy()
        f[row] = code(columns, "acquire")
        return replace(columns, f=f)
    return None


def same_token(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A lock gives the token again that it gave before."""
    for row in middle(columns, chance, "acquire"):
        earlier = before(columns, row, "acquire")
        if len(earlier):
            return with_result(columns, row, int(columns.result[earlier[-1]]))
    return None


def older_token(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """Two holders, one after the other, have each other's tokens."""
    for row in middle(columns, chance, "acquire"):
        earlier = before(columns, row, "acquire")
        if not len(earlier):
            continue
        one, other = int(columns.result[earlier[-1]]), int(columns.result[row])
        turned = np.arange(len(columns.values), dtype=np.int32)
        turned[[one, other]] = other, one
        return replace(columns, argument=turned[columns.argument], result=turned[columns.result])
    return None
