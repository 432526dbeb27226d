"""Table of the kinds of faults that have a module each (`kind`): one line per kind.

Modules are named, not imported, and loaded on first use: a kind's module may use any part of the nemesis, which uses this table.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from .kind import FaultKind

MODULES: dict[str, str] = {
    "flap": "links.flap",
    "reset": "links.reset",
    "transfer": "members.transfer",
    "corrupt": "links.corrupt",
    "dns": "hosts.dns",
    "process": "processes.named",
    "client": "processes.clients",
}
"""By the kind's name, below `kinds`."""


_KINDS = __name__.rsplit(".", 2)[0] + ".kinds"


@cache
def kind_of(name: str) -> FaultKind | None:
    """Return the kind of this name; None for one that is defined elsewhere, or nowhere."""
    if name not in MODULES:
        return None
    kind = import_module(f"{_KINDS}.{MODULES[name]}").KIND
    assert isinstance(kind, FaultKind) and kind.name == name, f"{MODULES[name]}: its KIND is not a FaultKind {name!r}"
    return kind


def kinds() -> list[FaultKind]:
    """All of them, in the order of the table."""
    return [kind for name in MODULES if (kind := kind_of(name)) is not None]
