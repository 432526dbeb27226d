"""The faults of real hosts, one package a kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...errors import FaultError, TribulationError
from ..faults import Resolved
from .base import Ground, Package
from .clocks import Clock
from .cuts import Cut
from .disks import Disk
from .flaps import Flap, Reset
from .limits import Cpu, Descriptors, Memory
from .links import Clog, Link
from .membership import Membership
from .power import Power
from .processes import Kill, Pause
from .transfer import Transfer
from .voters import Voters
from .wipe import Wipe

__all__ = ["PACKAGES", "Ground", "Package", "package_of", "unheld"]

_ALL: tuple[Package, ...] = (
    Cut(),
    Link(),
    Clog(),
    Flap(),
    Reset(),
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
    Transfer(),
)

PACKAGES = {kind: package for package in _ALL for kind in package.kinds}
"""By kind of fault (`..faults`)."""


def package_of(kind: str) -> Package:
    """Raises `FaultError` for a kind that no real host knows."""
    try:
        return PACKAGES[kind]
    except KeyError:
        raise FaultError(
            f"no fault of kind {kind!r} on real hosts", f"there are {', '.join(sorted(PACKAGES))}"
        ) from None


def unheld(faults: Iterable[Resolved], ground: Ground) -> dict[str, dict[str, Any]]:
    """By fault, what to say of those that are in force no longer just before their heal. One that cannot be looked at now is found out by the heal itself."""
    found = {}
    for fault in faults:
        try:
            where = package_of(fault.intent.kind).unheld(fault, ground)
        except TribulationError:
            continue
        if where:
            found[fault.intent.id] = {"lapsed": True, "not_held": dict(where)}
    return found
