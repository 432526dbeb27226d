"""The wall clock that a process sees, through the file that its preloaded clock library reads; the machine's own clock is never set.

A *setting* is JSON: `offset_ns`, `drift_ppm` (too fast since it was put there), `strobe_ns` (added in the first half of each `period_ns`); fields that
are missing are 0, and `{}` is true time. A `.faketime` file holds text for libfaketime, knows offsets alone, and is replaced by a rename; any other
holds what `clock_shim.c` maps: which generation is in force (0: true time), and two slots.
"""

from __future__ import annotations

import os
import struct
import time
from typing import Any

from ..state.store import write_durably

Setting = dict[str, int]

TRUE: Setting = {}
WORD = struct.Struct("=q")
SLOT = struct.Struct("=6q")
"""Generation, offset, base, rate in parts per billion, strobe, period."""
SIZE = WORD.size + 2 * SLOT.size


def setting_of(wanted: dict[str, Any]) -> Setting:
    """Return the setting in its one form: without the fields that change nothing."""
    return {
        name: int(wanted[name]) for name in ("offset_ns", "drift_ppm", "strobe_ns", "period_ns") if wanted.get(name)
    }


def put(path: str, setting: Setting) -> None:
    """Write a setting. One that is there already goes on: its drift does not begin again."""
    if get(path) == setting:
        return
    if path.endswith(".faketime"):
        _put_faketime(path, setting)
        return
    # Written in place, since the processes have this very file mapped. An aligned 8-byte store is seen whole.
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        content = os.pread(file, SIZE, 0)
        if len(content) < SIZE:
            os.pwrite(file, bytes(SIZE - len(content)), len(content))
        generation = 1 + max(_slot(content, parity)[0] for parity in (0, 1))
        if setting:
            fields = (
                setting.get("offset_ns", 0),
                time.time_ns(),
                1000 * setting.get("drift_ppm", 0),
                setting.get("strobe_ns", 0),
                setting.get("period_ns", 0),
            )
            os.pwrite(file, SLOT.pack(generation, *fields), WORD.size + generation % 2 * SLOT.size)
        os.pwrite(file, WORD.pack(generation if setting else 0), 0)
    finally:
        os.close(file)


def get(path: str) -> Setting:
    """Return the active setting of this file; true time if there is no such file."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return TRUE
    if path.endswith(".faketime"):
        return setting_of({"offset_ns": _offset_of_faketime(content.decode())})
    (in_force,) = WORD.unpack(content[: WORD.size]) if len(content) >= WORD.size else (0,)
    if not in_force:
        return TRUE
    _, offset_ns, _, rate_ppb, strobe_ns, period_ns = _slot(content, in_force % 2)
    fields = {"offset_ns": offset_ns, "drift_ppm": rate_ppb // 1000, "strobe_ns": strobe_ns, "period_ns": period_ns}
    return setting_of(fields)


def _slot(content: bytes, parity: int) -> tuple[int, ...]:
    at = WORD.size + parity * SLOT.size
    return SLOT.unpack(content[at : at + SLOT.size].ljust(SLOT.size, b"\0"))


def _put_faketime(path: str, setting: Setting) -> None:
    if set(setting) - {"offset_ns"}:
        raise RuntimeError("libfaketime can only set clocks ahead or back: drift and strobe need the compiled shim")
    offset_ns = setting.get("offset_ns", 0)
    sign, (seconds, rest) = ("-" if offset_ns < 0 else "+"), divmod(abs(offset_ns), 10**9)
    write_durably(path, f"{sign}{seconds}.{rest:09d}\n")


def _offset_of_faketime(text: str) -> int:
    text = text.strip()
    whole, _, rest = text.lstrip("+-").partition(".")
    amount_ns = int(whole or 0) * 10**9 + int((rest or "0").ljust(9, "0")[:9])
    return -amount_ns if text.startswith("-") else amount_ns
