"""Disk effects by the names that campaigns use, and how a probe recognises them: the same for hosts and for the simulator.

A probe writes a file of its own on the device, syncs it and its directory, and checks whether that would survive. Clusters are not known here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

ONGOING = ("slow", "stall", "full", "read-only", "io-error", "fsync-error", "lying")
"""Active as long as they last; a probe sees them."""
AT_REST = ("bit-rot", "misdirected-write", "truncate")
"""Damage to data that was written correctly, repaired when they end."""
CRASHES = ("lost-writes", "torn-write")
"""The process dies, and unsynced writes are lost with it, at once and permanently."""
OLD_FILES = "old-files"

ERRORS = {"full": "ENOSPC", "read-only": "EROFS", "io-error": "EIO", "fsync-error": "EIO"}

_FAILING = ("full", "read-only", "io-error", "fsync-error")
HIDDEN_BY = {
    "slow": ("stall", *_FAILING),
    "full": ("stall", "read-only", "io-error"),
    "read-only": ("stall", "io-error"),
    "io-error": ("stall",),
    "fsync-error": ("stall", "full", "read-only", "io-error"),
    "lying": ("stall", *_FAILING),
    "stall": (),
}
"""Effect → those of the same disk that may show in its place: nothing is answered, or everything fails before."""


@dataclass(frozen=True, slots=True)
class Device:
    """Result of a probe: the first `error`, how long it all took (None: no answer in time), and whether what it synced is `durable`."""

    error: str | None
    took_ns: int | None
    durable: bool


def shows(device: Device, effect: str | None, delay_ns: int = 0) -> bool:
    """Return whether the device behaves as with this effect; without an effect, whether it behaves as a healthy one."""
    if effect == "stall":
        return device.took_ns is None
    if effect in ERRORS:
        return device.error is not None and ERRORS[effect] in device.error
    if device.error is not None or device.took_ns is None:
        return False
    if effect == "lying":
        return not device.durable
    if effect == "slow":
        return device.took_ns >= delay_ns
    return device.durable


def shows_one_of(device: Device, effects: Collection[str], delay_ns: int = 0) -> bool:
    """Return whether one of the disk's current effects is visible; without any, whether the disk is healthy."""
    ongoing = [effect for effect in effects if effect in ONGOING]
    if not ongoing:
        return shows(device, None)
    return any(shows(device, effect, delay_ns) for effect in ongoing)
