"""Table of the kinds of faults: each has one module (`kind`) and one line here. Installed distributions may offer more.

Modules are named, not imported, and loaded on first use: a kind's module may use any part of the nemesis, which uses this table.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from ...errors import CampaignError, shown
from ...trouble import place_of_users
from .kind import FaultKind
from .timing import Timing

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
    "reject": "links.reject",
}
"""Module of each kind below `kinds`, by the kind's name."""


_KINDS = __name__.rsplit(".", 2)[0] + ".kinds"


GROUP = "tribulation.faults"
"""Entry points of installed distributions: a kind's name, and its `FaultKind` or an instance of it."""
TAKEN = frozenset(
    {"partition", "power-loss", "cpu-limit", "memory-limit", "fd-limit", "recovery", "all", "swarm", "mix", "clients"}
)
"""Words of campaigns that, like the names of the table, no installed kind may have as its name."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_GUIDE = "docs/guides/plugins.md explains kinds of faults; uninstall that distribution, or correct it"


@cache
def installed() -> dict[str, EntryPoint]:
    """Return the kinds of installed distributions, by name. Raises `CampaignError` for a name that is taken or not valid."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    for name, point in found.items():
        if not _NAME.fullmatch(name) or name in TAKEN or name in MODULES:
            raise CampaignError(
                f"{_place(point)}: {name!r} is already the name of a fault, or not a valid name", _GUIDE
            )
    return found


@cache
def kind_of(name: str) -> FaultKind | None:
    """Return the kind of this name; None for an unknown one. Raises `CampaignError` for an installed one that is not a valid kind."""
    if name not in MODULES:
        return _loaded(installed()[name]) if name in installed() else None
    kind = import_module(f"{_KINDS}.{MODULES[name]}").KIND
    assert isinstance(kind, FaultKind) and kind.name == name, f"{MODULES[name]}: its KIND is not a FaultKind {name!r}"
    return kind


def kinds() -> list[FaultKind]:
    """All kinds, in the order of the table."""
    return [kind for name in dict.fromkeys((*MODULES, *installed())) if (kind := kind_of(name)) is not None]


def _place(point: EntryPoint) -> str:
    return f"entry point {point.name!r} of {point.dist.name if point.dist is not None else point.value}"


def _loaded(point: EntryPoint) -> FaultKind:
    place = _place(point)
    try:
        member = point.load()
        kind = member() if isinstance(member, type) else member
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise CampaignError(
            f"{place}: {place_of_users(error) or point.value}: {type(error).__name__}: {error}", _GUIDE
        ) from error
    if not isinstance(kind, FaultKind):
        raise CampaignError(f"{place} is {shown(kind)}, not a FaultKind", _GUIDE)
    spec = getattr(kind, "spec", None)
    if (kind.name, kind.key, getattr(spec, "kind", None)) != (point.name,) * 3:
        raise CampaignError(f"{place}: `name` of the kind, and `kind` of its spec, are not {point.name!r}", _GUIDE)
    if not (isinstance(spec, type) and issubclass(spec, Timing) and spec.__doc__):
        raise CampaignError(f"{place}: `spec` is {shown(spec)}, not a subclass of Timing with a docstring", _GUIDE)
    return kind
