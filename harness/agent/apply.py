"""Make the host what is wanted, and undo everything: the only two ways in which what is in force changes.

`wanted` is the whole state, part by part (`parts`); a part that is not named must have nothing active. Applying the same twice changes nothing; applying
another moves straight there.
"""

from __future__ import annotations

from typing import Any

from .faults import PARTS
from .state import account
from .state.store import Store

Json = dict[str, Any]


def apply(store: Store, config: Json, wanted: Json) -> None:
    """Under the store's lock, with the watchdog armed. The undo of old and new is on disk before anything is done."""
    unknown = sorted(set(wanted) - {part.NAME for part in PARTS})
    if unknown:
        raise ValueError(f"this agent has no part {unknown[0]!r}")
    before = store.force()
    claimed = {part.NAME: part.claim(before.get(part.NAME, {}), wanted.get(part.NAME, {}), config) for part in PARTS}
    force = _something(claimed)
    if force == before == {}:
        return
    store.set_force(force)
    for part in PARTS:
        name = part.NAME
        if claimed[name]:
            force = {**force, name: part.change(claimed[name], wanted.get(name, {}), config)}
    store.set_force(_something(force))


def undo_all(store: Store, who: str) -> list[str]:
    """Undo all that is in force on this host, under the store's lock; says what that was. Undone twice, the second says nothing."""
    force = store.force()
    undone = [what for part in reversed(PARTS) for what in part.undo(force.get(part.NAME, {}))]
    if force:
        store.set_force({})
    if undone:
        store.write_journal({"who": who, "undone": undone})
    account.end_others(store, (), who)
    return undone


def _something(force: Json) -> Json:
    return {name: value for name, value in force.items() if value}
