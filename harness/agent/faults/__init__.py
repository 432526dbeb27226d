"""What can be in force on a host, a module a *part*: each makes the host what is wanted, and undoes what it did.

A part is a module with

    NAME                                          its key in `wanted` and in `force.json`
    claim(before, wanted, config) -> force        all that may be in force once `change` has begun: written down first
    change(claimed, wanted, config) -> force      make it so; what is in force now
    undo(force) -> [str]                          take everything back, and say what that was; twice, the second says nothing
    look(request, config) -> answer               (optional) what an independent look shows, for verification
    OUTLIVES_POWER = True                         (optional) what it does is on the disk: after a boot it is still in force

`wanted` and `force` are JSON objects; empty means that nothing is. `force` also keeps what was there before (limits, rules), since exactly that is
put back. Claims and changes of a host are made under its store's lock, in the order of `PARTS`; undone in the opposite order.
"""

from __future__ import annotations

from typing import Any, Protocol

from . import clock, cut, disk, limits, links, named, names, process, replacement, slow_start

Json = dict[str, Any]


class Part(Protocol):
    """The shape of these modules."""

    NAME: str

    def claim(self, before: Json, wanted: Json, config: Json) -> Json: ...

    def change(self, claimed: Json, wanted: Json, config: Json) -> Json: ...

    def undo(self, force: Json) -> list[str]: ...


PARTS: tuple[Part, ...] = (cut, links, clock, disk, limits, replacement, process, slow_start, names, named)
