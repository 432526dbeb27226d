"""The faults of real hosts, one package per kind: those listed here, and those of the catalogue (`catalog`), which needs no second line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import FaultError, TribulationError
from .catalog import catalog
from .faults.fault import Resolved
from .kinds.base import Ground, Package
from .kinds.clocks.clocks import Clock
from .kinds.links.cuts import Cut
from .kinds.links.links import Clog, Link
from .kinds.members.membership import Membership
from .kinds.members.voters import Voters
from .kinds.processes.disks import Disk
from .kinds.processes.limits import Cpu, Descriptors, Memory
from .kinds.processes.power import Power
from .kinds.processes.processes import Kill, Pause
from .kinds.processes.wipe import Wipe

__all__ = ["PACKAGES", "Ground", "Package", "package_of", "unheld"]

_ALL: tuple[Package, ...] = (
    Cut(),
    Link(),
    Clog(),
    Kill(),
    Pause(),
    Power(),
    Cpu(),
    Memory(),
    Descriptors(),
    Clock(),
    Disk(),
    Wipe(),
    Voters(),
    Membership(),
)

PACKAGES: dict[str, Package] = {
    **{kind: package for package in _ALL for kind in package.kinds},
    **{kind.name: kind.on_hosts() for kind in catalog.kinds()},
}
"""By kind of fault (`..faults`)."""


def package_of(kind: str) -> Package:
    """Raises `FaultError` for a kind that no real host has."""
    try:
        return PACKAGES[kind]
    except KeyError:
        raise FaultError(
            f"no fault of kind {kind!r} on real hosts", f"there are {', '.join(sorted(PACKAGES))}"
        ) from None


def unheld(faults: Iterable[Resolved], ground: Ground) -> dict[str, dict[str, Any]]:
    """By fault, the evidence that it ended just before its heal. One that cannot be probed now is verified by the heal itself."""
    found = {}
    for fault in faults:
        try:
            where = package_of(fault.intent.kind).unheld(fault, ground)
        except TribulationError:
            continue
        if where:
            found[fault.intent.id] = {"lapsed": True, "not_held": dict(where)}
    return found
