"""The kind of each object of a history: a family of `models`, or one of `structures`.

The requested model decides, otherwise the names of the object's operations and the results of its reads. Reads alone do not show a kind: a read of 0
is correct for a counter and wrong for a register. So an object with only reads has the kind of its workload. If the workload has only reads too, the
kind is not known; if all of them returned null, a register.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from tribulation.histories.model.columns import ABSENT, NONE_ID, OK, Columns, Int64

from ..models.named import family_of
from ..models.registers import READS
from .search.by_key import Objects
from .structures.dispatch import Structure, structure_named, structure_of, text_of
from .structures.parts.view import View

TEXT = "kv-append"
_READS = frozenset(READS)


@dataclass(frozen=True, slots=True)
class Kind:
    """Kind of one object: a family of `models`, or one of `structures`."""

    family: str | None = None
    structure: Structure | None = None


def kinds_of(objects: Objects, asked: str | None) -> list[Kind | None]:
    """Return the kind of each object; None where it is not known."""
    names = objects.operation_names()
    of_workload = _of_workload(objects.columns)
    found = []
    for number, (workload, _) in enumerate(objects.names):
        rows = objects.rows_of(number)
        if asked is not None:
            found.append(_asked(View(objects.columns, rows), names[number], asked))
        elif names[number] <= _READS:
            found.append(of_workload(workload))
        else:
            found.append(_shown(View(objects.columns, rows), names[number]))
    return found


def _asked(view: View, names: frozenset[str], asked: str) -> Kind | None:
    structure = text_of(view) if asked == TEXT else structure_named(asked)
    return _kind(names, structure, family_of(names, asked=asked))


def _shown(view: View, names: frozenset[str]) -> Kind | None:
    return _kind(names, structure_of(view), family_of(names))


def _kind(names: frozenset[str], structure: Structure | None, family: str | None) -> Kind | None:
    if structure is not None and names <= structure.names:
        return Kind(structure=structure)
    return None if family is None else Kind(family)


def _of_workload(columns: Columns) -> Callable[[str | None], Kind | None]:
    """Return a function from a workload to the kind that all its operations, of any level and outcome, show together."""

    @cache
    def found(workload: str | None) -> Kind | None:
        codes = [code for code, name in enumerate(columns.workload_names) if name == workload]
        rows = np.flatnonzero(np.isin(columns.workload, codes))
        names = frozenset(columns.names(rows))
        if not names <= _READS:
            return _shown(View(columns, rows), names)
        return None if _answered(columns, rows) else Kind("register")

    return found


def _answered(columns: Columns, rows: Int64) -> bool:
    """Return whether a read returned something. Null is a correct initial value of every kind."""
    results = columns.result[rows]
    answered = (results != NONE_ID) & (results != ABSENT) | (columns.result_list[rows] != ABSENT)
    return bool((answered & (columns.type[rows] == OK)).any())
