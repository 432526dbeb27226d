"""Answers and arguments of another kind than the structure has: nothing follows from them, so its verdict is unknown, with the place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tribulation.histories.model.columns import ABSENT, NONE_ID, Int64

from ....base.wording import show
from ....models.operation_names import ACQUIRES, INSERTS, TAKES
from .view import Mask, View


def strange(view: View, structure: str) -> str | None:
    """Describe the first operation whose argument or answer the structure cannot have; None if there is none."""
    found = _FINDERS.get(structure)
    return None if found is None else found(view)


def blank_reads(view: View) -> Mask:
    """Return a mask of the reads that answered null: they show nothing about a counter."""
    found: Mask = view.called("read") & view.ok & (view.result == NONE_ID) & ~_are_lists(view)
    return found


def _are_lists(view: View) -> Mask:
    found: Mask = view.columns.result_list[view.rows] != ABSENT
    return found


def _no_list(view: View) -> str | None:
    reads = view.called("read", "get") & view.ok & (view.result > NONE_ID) & ~_are_lists(view)
    return _problem(view, reads, view.result, "answered {}, not a list")


def _no_integer(view: View) -> str | None:
    reads = view.called("read") & view.ok
    wrong = reads & (_are_lists(view) | _without(view, view.result, int))
    return _problem(view, wrong, view.result, "answered {}, not an integer")


def _no_number(view: View) -> str | None:
    adds = view.called("add") & ~view.failed & _of_type(view, view.argument, bool)
    return _problem(view, adds, view.argument, "has the argument {}, which is not an integer") or _no_integer(view)


def _no_token(view: View) -> str | None:
    acquires = view.called(*ACQUIRES) & view.ok
    blank = acquires & (view.result == NONE_ID)
    wrong = acquires & _without(view, view.result, int)
    if not blank.any() and (acquires & ~_without(view, view.result, str)).sum() == acquires.sum():
        return None  # Texts have an order, too.
    return _problem(view, blank | wrong, view.result, "returned {}: tokens must be all integers or all texts")


def _no_element(view: View) -> str | None:
    puts = ~view.called(*TAKES) & ~view.failed & (view.argument <= NONE_ID)
    blank = puts & (view.columns.argument_list[view.rows] == ABSENT)
    if not (view.called(*TAKES) & view.ok & _answered_null(view)).any():
        return None
    return _problem(
        view,
        blank,
        view.result,
        "adds null, and a removal returned null, which may mean this element or an empty container",
    )


def _answered_null(view: View) -> Mask:
    """Return which operations answered null, or a list with null in it."""
    lists, rows = view.columns.lists, view.columns.result_list[view.rows]
    items = np.flatnonzero(lists.items == NONE_ID)
    inside = np.unique(np.searchsorted(lists.offsets, items, side="right") - 1)
    found: Mask = ((view.result == NONE_ID) & ~_are_lists(view)) | np.isin(rows, inside)
    return found


def _no_order(view: View) -> str | None:
    inserts = view.called(*INSERTS) & ~view.failed
    wrong = inserts & _without(view, view.argument, int)
    if (inserts & ~_without(view, view.argument, str)).sum() == inserts.sum():
        return _no_element(view)  # Texts have an order, too.
    return _no_element(view) or _problem(
        view, wrong, view.argument, "adds {}: priorities must be all integers or all texts"
    )


def _without(view: View, ids: Any, wanted: type) -> Mask:
    """Return which ids are of values of another type, apart from null."""
    used = np.unique(ids)
    other = [number for number in used if number > NONE_ID and type(view.value(int(number))) is not wanted]
    return np.isin(ids, other)


def _of_type(view: View, ids: Any, wanted: type) -> Mask:
    used = np.unique(ids)
    return np.isin(ids, [number for number in used if number > NONE_ID and type(view.value(int(number))) is wanted])


def _problem(view: View, which: Mask, ids: Any, text: str) -> str | None:
    places: Int64 = np.flatnonzero(which)
    if not len(places):
        return None
    place = int(places[0])
    found = view.value(int(ids[place]))
    value = "a list" if int(ids[place]) < 0 else f"the text {show(found)}" if isinstance(found, str) else show(found)
    name = view.columns.f_names[int(view.columns.f[view.rows[place]])]
    return f"the {name} of history index {int(view.start[place])} {text.format(value)}"


_FINDERS: dict[str, Callable[[View], str | None]] = {
    "queue": _no_element,
    "stack": _no_element,
    "set": _no_list,
    "list": _no_list,
    "counter": _no_number,
    "fenced-mutex": _no_token,
    "priority-queue": _no_order,
}
