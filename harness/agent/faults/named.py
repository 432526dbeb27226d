"""Faults of single processes of a system that has several on this host: by name `{"killed": true}`, `{"paused": true}`, or both.

`named` of the configuration says how each is found and kept down. A start of the whole system removes the markers, so these faults end with a power loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import process

Json = dict[str, Any]
NAME = "named"


def claim(before: Json, wanted: Json, config: Json) -> Json:
    return _each(process.claim, before, wanted, config)


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    return _each(process.change, claimed, wanted, config)


def undo(force: Json) -> list[str]:
    return [f"{name}: {what}" for name, held in force.items() for what in process.undo(held)]


def _each(do: Callable[[Json, Json, Json], Json], held: Json, wanted: Json, config: Json) -> Json:
    known = config.get(NAME) or {}
    found = {}
    for name in {**held, **wanted}:
        before = held.get(name, {})
        how = known.get(name) or before.get("process") or {}
        found[name] = do(before, wanted.get(name, {}), {"process": how})
    return {name: force for name, force in found.items() if force}
