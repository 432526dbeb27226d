"""Table of the kinds of faults: one module (`kind`) and one line here for each.

Modules are named, not imported, and loaded on first use: a kind's module may use any part of the nemesis, which uses this table.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from .kind import FaultKind

MODULES: dict[str, str] = {
    "cut": "links.partition",
    "link": "links.link",
    "clog": "links.clog",
    "kill": "processes.kill",
    "pause": "processes.pause",
    "power": "hosts.power_loss",
    "cpu": "limits.cpu_limit",
    "memory": "limits.memory_limit",
    "descriptors": "limits.fd_limit",
    "wipe": "disks.wipe",
    "disk": "disks.disk",
    "clock": "clocks.clock",
    "voters": "members.voters",
    "membership": "members.membership",
    "flap": "links.flap",
    "reset": "links.reset",
    "transfer": "members.transfer",
    "corrupt": "links.corrupt",
    "dns": "hosts.dns",
    "process": "processes.named_process",
    "client": "processes.clients",
}
"""By the kind's name, below `kinds`."""


_KINDS = __name__.rsplit(".", 2)[0] + ".kinds"


@cache
def kind_of(name: str) -> FaultKind | None:
    """Return the kind of this name; None for an unknown one."""
    if name not in MODULES:
        return None
    kind = import_module(f"{_KINDS}.{MODULES[name]}").KIND
    assert isinstance(kind, FaultKind) and kind.name == name, f"{MODULES[name]}: its KIND is not a FaultKind {name!r}"
    return kind


def kinds() -> list[FaultKind]:
    """All of them, in the order of the table."""
    return [kind for name in MODULES if (kind := kind_of(name)) is not None]
