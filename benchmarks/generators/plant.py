"""Planting of one violation into the middle of a valid history: changes what an operation returned to what it cannot have returned, or replaces a few.

Each is a violation in real time and not by chance: the operations that prove it completed before others began.
"""

from __future__ import annotations

import numpy as np

from tribulation.histories.model.columns import Columns

from . import spoil, spoil_transactions, stories
from .changes import Plant


def plant(columns: Columns, violation: str, model: str, seed: int = 0) -> Columns:
    """The history with the violation in it. Raises `ValueError` when there is no such violation of the model, or no place for it."""
    if violation not in VIOLATIONS.get(model, {}):
        raise ValueError(f"no violation {violation!r} of {model}; there are {', '.join(VIOLATIONS.get(model, {}))}")
    found = VIOLATIONS[model][violation](columns, np.random.default_rng(seed))
    if found is None:
        raise ValueError(f"the history has no place for a {violation}: make it longer")
    return found


_REGISTER: dict[str, Plant] = {
    "stale-read": spoil.stale_read,
    "lost-write": spoil.lost_write,
    "aborted-read": spoil.aborted_read,
    "future-read": spoil.future_read,
    "thin-air": spoil.thin_air("read"),
}


def _removals(put: str, take: str, first_in: bool | None) -> dict[str, Plant]:
    return {
        "duplicate": spoil.taken_twice(take),
        "lost": spoil.lost_element(put, take),
        "thin-air": spoil.thin_air(take),
        "order": spoil.swapped(put, take, first_in),
    }


VIOLATIONS: dict[str, dict[str, Plant]] = {
    "register": _REGISTER,
    "register-cas": {**_REGISTER, "double-cas": spoil.double_cas},
    "kv": _REGISTER,
    "cas-register": {"thin-air": spoil.thin_air("read")},
    "queue": _removals("enqueue", "dequeue", True),
    "stack": _removals("push", "pop", False),
    "priority-queue": _removals("insert", "delete-min", None),
    "greatest-first": _removals("insert", "poll", None),
    "set": {"lost": spoil.missing_element("add"), "phantom": spoil.phantom_element},
    "element-set": {"lost": spoil.answered(False), "phantom": spoil.answered(True)},
    "list": {
        "lost": spoil.missing_element("append"),
        "phantom": spoil.phantom_element,
        "duplicate": spoil.repeated_item,
        "order": spoil.turned_list,
    },
    "counter": {"low-sum": spoil.low_sum, "high-sum": spoil.high_sum},
    "mutex": {"second-holder": spoil.second_holder},
    "fenced-mutex": {"same-token": spoil.same_token, "older-token": spoil.older_token},
    "list-append": {
        "stale-read": spoil_transactions.in_transactions(spoil_transactions.stale_list),
        "aborted-read": spoil_transactions.in_transactions(spoil_transactions.aborted_element),
        "duplicate": spoil_transactions.in_transactions(spoil_transactions.repeated_element),
        **{name: stories.plant_of(story, lists=True) for name, story in stories.LISTS.items()},
    },
    "rw-register": {
        "stale-read": spoil_transactions.in_transactions(spoil_transactions.stale_register),
        "aborted-read": spoil_transactions.in_transactions(spoil_transactions.aborted_register),
        "thin-air": spoil_transactions.in_transactions(spoil_transactions.thin_air_register),
        **{name: stories.plant_of(story, lists=False) for name, story in stories.REGISTERS.items()},
    },
}
"""Model → violation → how it is planted."""
