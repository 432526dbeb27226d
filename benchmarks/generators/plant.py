"""Plants one violation into a valid history: changes what one operation in its middle returned to what it cannot have returned.

Each is a violation in real time and not by chance: the operations that prove it completed before others began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from histories.columns import FAIL, INFO, NONE_ID, OK, OPEN, READ, Columns, Int64, Lists

Plant = Callable[[Columns, np.random.Generator], Columns | None]
_TRIES = 2000


def plant(columns: Columns, violation: str, model: str, seed: int = 0) -> Columns:
    """The history with the violation in it. Raises `ValueError` when there is no such violation of the model, or no place for it."""
    if violation not in VIOLATIONS.get(model, {}):
        raise ValueError(f"no violation {violation!r} of {model}; there are {', '.join(VIOLATIONS.get(model, {}))}")
    found = VIOLATIONS[model][violation](columns, np.random.default_rng(seed))
    if found is None:
        raise ValueError(f"the history has no place for a {violation}: make it longer")
    return found


def _code(columns: Columns, name: str) -> int:
    return list(columns.f_names).index(name)


def _middle(columns: Columns, chance: np.random.Generator, name: str) -> Iterator[int]:
    """Rows of ok operations of that name, from a random place in the middle on."""
    rows = np.flatnonzero((columns.f == _code(columns, name)) & (columns.type == OK))
    start = int(len(rows) * chance.uniform(0.3, 0.7))
    yield from np.roll(rows, -start)[:_TRIES].tolist()


def _before(columns: Columns, row: int, name: str) -> Int64:
    """Rows of ok operations of that name on the same key that completed before this one began, in order of invocation."""
    near = slice(max(0, row - _TRIES), row)
    same = (columns.key[near] == columns.key[row]) & (columns.f[near] == _code(columns, name))
    return (
        np.flatnonzero(same & (columns.type[near] == OK) & (columns.complete[near] < columns.invoke[row])) + near.start
    )


def _with_result(columns: Columns, row: int, value: int) -> Columns:
    result = columns.result.copy()
    result[row] = value
    return replace(columns, result=result)


def _with_new_value(columns: Columns) -> tuple[Columns, int]:
    """A value that nobody ever wrote."""
    return replace(columns, values=[*columns.values, -1]), len(columns.values)


def stale_read(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read returns a value that was overwritten, by a write that had completed, before the read began."""
    for row in _middle(columns, chance, "read"):
        writes = _before(columns, row, "write")
        if not len(writes):
            continue
        last = writes[-1]
        older = writes[columns.complete[writes] < columns.invoke[last]]
        if len(older):
            return _with_result(columns, row, int(columns.argument[older[-1]]))
    return None


def lost_write(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read finds the register empty although writes had completed."""
    for row in _middle(columns, chance, "read"):
        if len(_before(columns, row, "write")):
            return _with_result(columns, row, NONE_ID)
    return None


def aborted_read(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read returns what a failed write would have written."""
    failed = np.flatnonzero((columns.f == _code(columns, "write")) & (columns.type == FAIL))
    for row in _middle(columns, chance, "read"):
        earlier = failed[(failed < row) & (columns.key[failed] == columns.key[row])]
        if len(earlier):
            return _with_result(columns, row, int(columns.argument[earlier[-1]]))
    return None


def thin_air(name: str) -> Plant:
    """An operation returns what nobody ever put in."""

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        for row in _middle(columns, chance, name):
            if columns.result[row] != NONE_ID:
                changed, value = _with_new_value(columns)
                return _with_result(changed, row, value)
        return None

    return into


def taken_twice(name: str) -> Plant:
    """An element is removed a second time."""

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        earlier = None
        for row in _middle(columns, chance, name):
            if columns.result[row] == NONE_ID:
                continue
            if earlier is not None:
                return _with_result(columns, row, int(columns.result[earlier]))
            earlier = row
        return None

    return into


def lost_element(put: str, take: str) -> Plant:
    """A removal finds nothing although an element had been put in, which is never removed.

    Only where no removal of unknown outcome had begun: it might have taken the element.
    """

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        puts = np.flatnonzero((columns.f == _code(columns, put)) & (columns.type == OK))
        ended = dict(zip(columns.argument[puts].tolist(), columns.complete[puts].tolist(), strict=True))
        takes = columns.f == _code(columns, take)
        doubtful = columns.invoke[takes & (columns.type == INFO)]
        certain_to = int(doubtful[0]) if len(doubtful) else OPEN
        for row in np.flatnonzero(takes & (columns.type == OK) & (columns.complete < certain_to)).tolist():
            element = int(columns.result[row])
            if element != NONE_ID and ended.get(element, OPEN) < columns.invoke[row]:
                return _with_result(columns, row, NONE_ID)
        return None

    return into


def low_sum(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read of a counter returns 0 although adds had completed."""
    for row in _middle(columns, chance, "read"):
        if len(_before(columns, row, "add")):
            return _with_result(columns, row, 1)
    return None


def missing_element(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read of a set lacks an element whose add had completed."""
    for row in _middle(columns, chance, "read"):
        items = columns.lists.row(int(columns.result_list[row]))
        added = set(columns.argument[_before(columns, row, "add")].tolist())
        kept = [place for place, item in enumerate(items.tolist()) if item in added]
        if kept:
            return _with_list(columns, row, np.delete(items, kept[-1]))
    return None


def phantom_element(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A read of a set returns an element that nobody added."""
    for row in _middle(columns, chance, "read"):
        changed, value = _with_new_value(columns)
        return _with_list(changed, row, np.append(columns.lists.row(int(columns.result_list[row])), value))
    return None


def second_holder(columns: Columns, chance: np.random.Generator) -> Columns | None:
    """A lock is acquired a second time where it should have been released."""
    for row in _middle(columns, chance, "release"):
        f = columns.f.copy()
        f[row] = _code(columns, "acquire")
        return replace(columns, f=f)
    return None


def _with_list(columns: Columns, row: int, items: Any) -> Columns:
    changed, number = _more_lists(columns, items)
    rows = columns.result_list.copy()
    rows[row] = number
    return replace(changed, result_list=rows)


def _more_lists(columns: Columns, items: Any) -> tuple[Columns, int]:
    lists = columns.lists
    grown = Lists(
        np.append(lists.offsets, lists.offsets[-1] + len(items)),
        np.concatenate([lists.items, np.asarray(items, np.int32)]),
    )
    return replace(columns, lists=grown), len(lists.offsets) - 1


def in_transactions(change: Callable[[Columns, int, int], Columns | None]) -> Plant:
    """`change` gets ok transactions and a place of a read in each, until it finds one that fits."""

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        txns = columns.txns
        assert txns is not None
        for row in _middle(columns, chance, "txn"):
            number = int(columns.result_txn[row])
            for at in range(int(txns.offsets[number]), int(txns.offsets[number + 1])):
                found = change(columns, row, at) if txns.kind[at] == READ else None
                if found is not None:
                    return found
        return None

    return into


def _writers(columns: Columns, row: int, key: int, kind: int) -> list[tuple[int, int]]:
    """(row, value) of writes of the key by transactions of that outcome, not far before."""
    txns = columns.txns
    assert txns is not None
    found = []
    for other in range(max(0, row - _TRIES), row):
        if columns.type[other] == kind:
            number = int(columns.argument_txn[other])
            part = slice(int(txns.offsets[number]), int(txns.offsets[number + 1]))
            hits = (txns.key[part] == key) & (txns.kind[part] != READ)
            found += [(other, int(value)) for value in txns.value[part][hits]]
    return found


def stale_list(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a list lacks an element whose transaction had completed."""
    items = _list_at(columns, at)
    done = {
        value for other, value in _writers(columns, row, _key_at(columns, at), OK) if _precedes(columns, other, row)
    }
    return _with_micro_list(columns, at, items[:-1]) if len(items) and int(items[-1]) in done else None


def aborted_element(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a list has the element of a failed transaction."""
    failed = _writers(columns, row, _key_at(columns, at), FAIL)
    return _with_micro_list(columns, at, np.append(_list_at(columns, at), failed[-1][1])) if failed else None


def repeated_element(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a list has an element twice."""
    items = _list_at(columns, at)
    return _with_micro_list(columns, at, np.append(items, items[0])) if len(items) else None


def stale_register(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a register returns what had been overwritten by a completed transaction."""
    done = [found for found in _writers(columns, row, _key_at(columns, at), OK) if _precedes(columns, found[0], row)]
    if not done:
        return None
    last = done[-1][0]
    older = [value for other, value in done if _precedes(columns, other, last)]
    return _with_micro_value(columns, at, older[-1]) if older else None


def aborted_register(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a register returns what a failed transaction wrote."""
    failed = _writers(columns, row, _key_at(columns, at), FAIL)
    return _with_micro_value(columns, at, failed[-1][1]) if failed else None


def thin_air_register(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a register returns what nobody wrote."""
    changed, value = _with_new_value(columns)
    return _with_micro_value(changed, at, value)


def _precedes(columns: Columns, one: int, other: int) -> bool:
    return bool(columns.complete[one] < columns.invoke[other])


def _key_at(columns: Columns, at: int) -> int:
    assert columns.txns is not None
    return int(columns.txns.key[at])


def _list_at(columns: Columns, at: int) -> Any:
    assert columns.txns is not None
    return columns.lists.row(int(columns.txns.list[at]))


def _with_micro_list(columns: Columns, at: int, items: Any) -> Columns:
    changed, number = _more_lists(columns, items)
    assert columns.txns is not None
    rows = columns.txns.list.copy()
    rows[at] = number
    return replace(changed, txns=replace(columns.txns, list=rows))


def _with_micro_value(columns: Columns, at: int, value: int) -> Columns:
    assert columns.txns is not None
    values = columns.txns.value.copy()
    values[at] = value
    return replace(columns, txns=replace(columns.txns, value=values))


_REGISTER: dict[str, Plant] = {
    "stale-read": stale_read,
    "lost-write": lost_write,
    "aborted-read": aborted_read,
    "thin-air": thin_air("read"),
}


def _removals(put: str, take: str) -> dict[str, Plant]:
    return {"duplicate": taken_twice(take), "lost": lost_element(put, take), "thin-air": thin_air(take)}


VIOLATIONS: dict[str, dict[str, Plant]] = {
    "register": _REGISTER,
    "register-cas": _REGISTER,
    "kv": _REGISTER,
    "cas-register": {"thin-air": thin_air("read")},
    "queue": _removals("enqueue", "dequeue"),
    "stack": _removals("push", "pop"),
    "priority-queue": _removals("insert", "delete-min"),
    "set": {"lost": missing_element, "phantom": phantom_element},
    "counter": {"low-sum": low_sum},
    "mutex": {"second-holder": second_holder},
    "list-append": {
        "stale-read": in_transactions(stale_list),
        "aborted-read": in_transactions(aborted_element),
        "duplicate": in_transactions(repeated_element),
    },
    "rw-register": {
        "stale-read": in_transactions(stale_register),
        "aborted-read": in_transactions(aborted_register),
        "thin-air": in_transactions(thin_air_register),
    },
}
"""Model → violation → how it is planted."""
