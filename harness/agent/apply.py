"""Change the host to the desired state, or undo everything.

`wanted` is the whole state, part by part (`faults`); a part that is not named must have nothing active. Applying the same state twice changes nothing;
another state is applied directly, without an undo in between.
"""

from __future__ import annotations

from typing import Any

from .faults import PARTS
from .state import account
from .state.store import Store

Json = dict[str, Any]


class NotUndone(RuntimeError):
    """Parts are still active, each with the reason."""


def apply(store: Store, config: Json, wanted: Json) -> None:
    """Change the host to `wanted`. The caller has locked the store and armed the watchdog. What is needed to undo the old and the new state is on disk
    before anything is done. Raises `ValueError` for an unknown part.
    """
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
    """Undo all that is active on this host, under the store's lock; return what that was. A second call returns an empty list.

    A part that cannot be undone does not keep the others active. It stays recorded, and `NotUndone` is raised at the end.
    """
    force, failures = {}, []
    try:
        force = store.force()
    except ValueError as error:
        # What is known without the account, such as our firewall table, goes.
        failures.append(f"{store.path('force.json')} is damaged: {error}")
    undone, left = [], dict(force)
    for part in reversed(PARTS):
        try:
            undone += part.undo(force.get(part.NAME, {}))
            left.pop(part.NAME, None)
        except Exception as error:
            failures.append(f"{part.NAME}: {type(error).__name__}: {error}")
    if force != left:
        store.set_force(left)
    if undone:
        store.write_journal({"who": who, "undone": undone})
    if failures:
        raise NotUndone("; ".join(failures))
    account.end_others(store, (), who)
    return undone


def _something(force: Json) -> Json:
    return {name: value for name, value in force.items() if value}
