"""The parts of the state of faults on a host, one module per *part*: each changes the host to the desired state, and undoes its changes.

A part is a module with

    NAME                                          its key in `wanted` and in `force.json`
    claim(before, wanted, config) -> force        all that may be active once `change` has begun: recorded first
    change(claimed, wanted, config) -> force      make the change; return what is active now
    undo(force) -> [str]                          undo everything, and return what it was; a second call returns nothing
    look(request, config) -> answer               (optional) the result of an independent probe, for verification
    OUTLIVES_POWER = True                         (optional) its changes are on the disk: they are still active after a boot

`wanted` and `force` are JSON objects; empty means that nothing is active. `force` also has the former state (limits, rules), because exactly this is
restored. Claims and changes of a host are made under its store's lock, in the order of `PARTS`, and undone in the opposite order.
"""

from __future__ import annotations

from typing import Any, Protocol

from . import clock, cut, disk, limits, links, named, names, process, replacement, slow_start

Json = dict[str, Any]


class Part(Protocol):
    """The interface of these modules."""

    NAME: str

    def claim(self, before: Json, wanted: Json, config: Json) -> Json: ...

    def change(self, claimed: Json, wanted: Json, config: Json) -> Json: ...

    def undo(self, force: Json) -> list[str]: ...


PARTS: tuple[Part, ...] = (cut, links, clock, disk, limits, replacement, process, slow_start, names, named)
