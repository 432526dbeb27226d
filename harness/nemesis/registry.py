"""The faults of real hosts: the package of each kind of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import FaultError, TribulationError
from .catalog import catalog
from .faults.fault import Resolved
from .kinds.base import Ground, Package

__all__ = ["PACKAGES", "Ground", "Package", "package_of", "unheld"]

PACKAGES: dict[str, Package] = {kind.name: kind.on_hosts() for kind in catalog.kinds()}
"""By kind of fault."""


def package_of(kind: str) -> Package:
    """Return the package of a kind. Raises `FaultError` for a kind that no real host has."""
    try:
        return PACKAGES[kind]
    except KeyError:
        raise FaultError(
            f"no fault of kind {kind!r} on real hosts", f"there are {', '.join(sorted(PACKAGES))}"
        ) from None


def unheld(faults: Iterable[Resolved], ground: Ground) -> dict[str, dict[str, Any]]:
    """Return by fault the evidence that it had ended before its heal. A fault that cannot be probed now is left out."""
    found = {}
    for fault in faults:
        try:
            where = package_of(fault.intent.kind).unheld(fault, ground)
        except TribulationError:
            continue
        if where:
            found[fault.intent.id] = {"lapsed": True, "not_held": dict(where)}
    return found
